"""The Lambda asset, made without Docker: copies of our own modules and of pure Python packages already installed.

requirements.lock pinned and hashed what is installed, so what runs in Lambda is what the tests ran. Compiled modules
are left out: every package here works without its own, and so one asset fits any Python version and processor.
Bytecode for the Python at hand lies beside the sources, because a function can't write its own: each cold start would
compile what it imports, which took longer than the imports themselves. Another Python leaves it alone.
"""

from __future__ import annotations

import compileall
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from py_compile import PycInvalidationMode
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from avskrift.errors import ConfigurationError
from infra.own_modules import imported_files

CHECKOUT = Path(__file__).resolve().parent.parent
#: Packages of ours; functions carry the modules of them that they import, never speech.
OWN_PACKAGES = frozenset({"avskrift", "lambdas"})
#: Installed distributions that functions import, with whatever those require. boto3 is the runtime's own.
DISTRIBUTIONS = ("aws-lambda-powertools", "requests")
COMPILED_SUFFIXES = frozenset({".so", ".pyd", ".dylib", ".pyc"})
LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests"})


def lambda_code() -> lambda_.Code:
    """The asset of all functions; its hash is that of its content."""
    return lambda_.Code.from_asset(
        str(CHECKOUT / "lambdas"),
        asset_hash_type=AssetHashType.OUTPUT,
        bundling=BundlingOptions(image=DockerImage.from_registry("not-used"), local=_CopyBundling()),
    )


def write_asset(folder: Path) -> None:
    """Write the asset's files into ``folder``.

    Raises :class:`~avskrift.errors.ConfigurationError` when a package that it needs is not installed.
    """
    for path in imported_files(CHECKOUT, "lambdas", OWN_PACKAGES):
        _copy(path, folder / path.relative_to(CHECKOUT))
    for name in required_distributions(DISTRIBUTIONS):
        for installed, path in _installed_files(name):
            _copy(path, folder / installed)
    _compile(folder)


def _compile(folder: Path) -> None:
    """Bytecode that is trusted without a look at its source (nobody changes an asset), the same on every machine."""
    is_compiled = compileall.compile_dir(
        folder,
        quiet=1,
        stripdir=str(folder),
        prependdir="/var/task",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not is_compiled:
        raise ConfigurationError("A module of the Lambda asset cannot be compiled: see above which.")


def required_distributions(names: tuple[str, ...]) -> list[str]:
    """These distributions and all they require without extras, in alphabetical order."""
    pending, found = [_normalised(name) for name in names], set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            requirements = _distribution(name).requires or []
            pending.extend(_required_name(line) for line in requirements if "extra ==" not in line)
    return sorted(found)


@jsii.implements(ILocalBundling)
class _CopyBundling:
    """Called by CDK instead of starting a container."""

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        write_asset(Path(output_dir))
        return True


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise ConfigurationError(f'The Lambda asset needs the package "{name}": run scripts/install.') from error


def _required_name(requirement: str) -> str:
    """``jmespath<2.0.0,>=1.0.1`` → ``jmespath``."""
    return _normalised(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed_files(name: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """Files of a distribution: where they lie below site-packages, and their path."""
    for file in sorted(_distribution(name).files or []):
        if _belongs(file) and not file.parts[0].endswith(".dist-info") and ".." not in file.parts:
            yield file, Path(str(file.locate()))


def _belongs(path: PurePosixPath) -> bool:
    return path.suffix not in COMPILED_SUFFIXES and LEFT_OUT_FOLDERS.isdisjoint(path.parts)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
