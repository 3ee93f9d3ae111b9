"""What docs/config.schema.json says of configurations: check_schema.py SCHEMA FILE...

Prints a line a file: "accepts", "refuses" or "no_json". Strict JSON with comments, as affuse reads
it; duplicate keys are the one thing that JSON Schema never sees.
"""
import json
import re
import sys

import jsonschema

COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def refuse_constant(word):
    raise ValueError(f"{word} is no JSON")


def read(path):
    with open(path, encoding="utf-8-sig") as file:
        text = COMMENT.sub(lambda match: match.group(1) or " ", file.read())
    value = json.loads(text, parse_constant=refuse_constant)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses lone surrogates
    return value


def main(schema_path, paths):
    schema = read(schema_path)
    validator = jsonschema.validators.validator_for(schema, default=None)
    if validator is not jsonschema.Draft7Validator:
        raise SystemExit(f"{schema_path}: not the draft that it is written for")
    validator.check_schema(schema)
    for path in paths:
        try:
            value = read(path)
        except (ValueError, RecursionError):
            print("no_json")
            continue
        print("accepts" if validator(schema).is_valid(value) else "refuses")


main(sys.argv[1], sys.argv[2:])
