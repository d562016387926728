"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const transcript = byId("transcript");
  const paragraphs = [...transcript.querySelectorAll("p[id]")];
  const saidIn = (paragraph) => paragraph.querySelector(".said");
  const paints = "highlights" in CSS && typeof Highlight === "function";

  for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;
  byId("bar").hidden = false;

  // The place of a character in an element: its text node, and how far into that.
  const placesIn = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const nodes = [];
    for (let from = 0; walker.nextNode(); from += walker.currentNode.length) nodes.push({ from, node: walker.currentNode });
    return (offset) => {
      const held = nodes.findLast(({ from }) => from <= offset);
      return [held.node, offset - held.from];
    };
  };
  const rangeIn = (element, start, end) => {
    const place = placesIn(element);
    const [startContainer, startOffset] = place(start);
    const [lastContainer, lastOffset] = place(end - 1);
    return new StaticRange({ startContainer, startOffset, endContainer: lastContainer, endOffset: lastOffset + 1 });
  };
  const paint = (name, ranges) => {
    const highlight = new Highlight();
    for (const range of ranges) highlight.add(range);
    highlight.priority = ["found", "now", "aim", "chosen"].indexOf(name);
    CSS.highlights.set(name, highlight);
  };
  const reveal = (element) => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  };

  const search = () => {
    const query = byId("query");
    const count = byId("count");
    let matches = [];
    let chosen = -1;

    // Lower case of the same length, so that places stay what they are.
    const fold = (text) => {
      const lower = text.toLowerCase();
      if (lower.length === text.length) return lower;
      return Array.from(text, (letter) => (letter.toLowerCase().length === letter.length ? letter.toLowerCase() : letter)).join("");
    };
    let folded = null;

    const find = () => {
      const wanted = fold(query.value.trim().replace(/\s+/gu, " "));
      folded ??= paragraphs.map((paragraph) => fold(saidIn(paragraph).textContent));
      matches = [];
      chosen = -1;
      if (wanted) {
        folded.forEach((text, index) => {
          for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
            matches.push({ paragraph: paragraphs[index], start: at, end: at + wanted.length });
          }
        });
      }
      show();
      if (matches.length) choose(0);
    };
    const rangeOf = ({ paragraph, start, end }) => rangeIn(saidIn(paragraph), start, end);
    const show = () => {
      if (paints) {
        paint("found", matches.map(rangeOf));
        paint("chosen", []);
      } else {
        const found = new Set(matches.map((match) => match.paragraph));
        for (const paragraph of paragraphs) {
          paragraph.classList.toggle("found", found.has(paragraph));
          paragraph.classList.remove("chosen");
        }
      }
      byId("previous").disabled = byId("next").disabled = !matches.length;
      count.textContent = query.value.trim() && !matches.length ? count.dataset.none : "";
    };
    const choose = (index) => {
      if (!matches.length) return;
      if (!paints && chosen >= 0) matches[chosen].paragraph.classList.remove("chosen");
      chosen = (index + matches.length) % matches.length;
      const match = matches[chosen];
      if (paints) paint("chosen", [rangeOf(match)]);
      else match.paragraph.classList.add("chosen");
      count.textContent = `${chosen + 1} ${count.dataset.of} ${matches.length}`;
      reveal(match.paragraph);
    };

    let waiting = 0;
    query.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(find, 120);
    });
    query.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        query.value = "";
        find();
      } else if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        choose(chosen - 1);
      }
    });
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      choose(chosen + 1);
    });
    byId("previous").addEventListener("click", () => choose(chosen - 1));
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      query.focus();
    });
  };

  const play = (audio) => {
    const pieces = [...transcript.querySelectorAll("[data-t]")];
    const starts = pieces.map((piece) => Number(piece.dataset.t));
    let shown = null;

    const lastAtOrBefore = (values, wanted) => {
      let low = 0;
      let high = values.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (values[middle] <= wanted) low = middle + 1;
        else high = middle;
      }
      return low - 1;
    };
    // Each word's place in the piece's text and its time; pieces without word times are one.
    const wordsOf = (piece) => {
      const numbers = (piece.dataset.w ?? `0 ${piece.dataset.t}`).split(" ").map(Number);
      return { places: numbers.filter((_, n) => n % 2 === 0), times: numbers.filter((_, n) => n % 2 === 1) };
    };
    const markNow = () => {
      const ms = Math.round(audio.currentTime * 1000);
      const begun = audio.paused && !audio.currentTime ? 0 : lastAtOrBefore(starts, ms) + 1;
      // Where people talk at once, one who began earlier may go on for longer.
      const lately = pieces.slice(Math.max(0, begun - 8), begun);
      mark(lately.findLast((piece) => ms < Number(piece.dataset.e)) ?? null, ms);
    };
    const mark = (piece, ms) => {
      if (shown && shown !== piece) shown.classList.remove("now");
      const before = shown?.closest("p");
      const paragraph = piece?.closest("p");
      if (before !== paragraph) {
        before?.classList.remove("current");
        paragraph?.classList.add("current");
        if (paragraph && !audio.paused && byId("follow").checked) reveal(paragraph);
      }
      shown = piece;
      if (!paints) piece?.classList.add("now");
      else paint("now", piece ? [wordAt(piece, ms)] : []);
    };
    const wordAt = (piece, ms) => {
      const { places, times } = wordsOf(piece);
      const index = Math.max(0, lastAtOrBefore(times, ms));
      const text = piece.textContent;
      const end = places[index + 1] ?? text.length;
      return rangeIn(piece, places[index], places[index] + Math.max(1, text.slice(places[index], end).trimEnd().length));
    };
    const seek = (ms) => {
      audio.currentTime = ms / 1000;
      audio.play().catch(() => {});
    };
    const offsetAt = (event) => {
      if (document.caretPositionFromPoint) return document.caretPositionFromPoint(event.clientX, event.clientY)?.offset;
      return document.caretRangeFromPoint?.(event.clientX, event.clientY)?.startOffset;
    };
    const timeOf = (piece, event) => {
      const { places, times } = wordsOf(piece);
      return times[Math.max(0, lastAtOrBefore(places, offsetAt(event) ?? 0))];
    };

    const aim = (event) => {
      const piece = event.target.closest("[data-t]");
      paint("aim", piece ? [wordAt(piece, timeOf(piece, event))] : []);
    };
    if (paints) {
      transcript.addEventListener("pointermove", aim);
      transcript.addEventListener("pointerleave", () => paint("aim", []));
    }
    transcript.addEventListener("click", (event) => {
      const selecting = !getSelection().isCollapsed;
      const time = event.target.closest(".time");
      const piece = event.target.closest("[data-t]");
      if (time) seek(Number(time.closest("p").querySelector("[data-t]").dataset.t));
      else if (piece && !selecting) seek(timeOf(piece, event));
    });
    const whilePlaying = () => {
      markNow();
      if (!audio.paused) requestAnimationFrame(whilePlaying);
    };
    audio.addEventListener("play", whilePlaying);
    for (const name of ["timeupdate", "seeked", "pause"]) audio.addEventListener(name, markNow);
    const tell = () => { byId("unplayable").hidden = false; };
    audio.addEventListener("error", tell);
    if (audio.error) tell();
  };

  const theme = () => {
    const root = document.documentElement;
    // Pages opened from a disk may have no storage.
    const remembered = (use) => { try { return use(localStorage); } catch { return null; } };
    const stored = remembered((storage) => storage.getItem("avskrift-theme"));
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
    byId("theme").addEventListener("click", () => {
      const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
      root.dataset.theme = shown === "dark" ? "light" : "dark";
      remembered((storage) => storage.setItem("avskrift-theme", root.dataset.theme));
    });
  };

  search();
  if (byId("audio")) play(byId("audio"));
  theme();
})();
