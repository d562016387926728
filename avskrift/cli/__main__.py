from avskrift.cli import main

main()
