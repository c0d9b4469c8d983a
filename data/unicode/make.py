"""Generates `confusables.txt` from the `data.json` of npm's unhomoglyph 1.0.6: `python make.py data.json`.

`data.json` is Unicode's confusables.txt (version 13.0.0) as JSON. Each line of the output is a character and
what it looks like, as hexadecimal code points, as in Unicode's file.
"""

import json
import sys
from pathlib import Path

HEAD = """\
# Which characters look alike: UTS 39, confusables.txt, version 13.0.0.
# (c) 1991-2020 Unicode, Inc., under the Unicode License: https://www.unicode.org/copyright.html
# Taken from unhomoglyph 1.0.6, (c) 2016 Vitaly Puzrin, MIT License. Made by make.py; do not edit.
"""


def main(source: str) -> None:
    mapping: dict[str, str] = json.loads(Path(source).read_text(encoding="utf-8"))
    lines = (
        f"{ord(character):04X} ; {' '.join(f'{ord(one):04X}' for one in prototype)}"
        for character, prototype in sorted(mapping.items())
        if character != prototype
    )
    target = Path(__file__).with_name("confusables.txt")
    target.write_text(HEAD + "\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1])
