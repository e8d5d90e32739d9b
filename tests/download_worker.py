"""Fetches what each line of its input names, and prints the commit or the sentence: the genuine client in a process."""

import json
import sys

from smallvit.download import Reference, download_model_folder
from smallvit.errors import UserError

for line in sys.stdin:
    try:
        folder, commit = download_model_folder(Reference.parse(line.strip()))
        answer = {"commit": commit, "path": str(folder.path), "variant": folder.record.variant}
    except UserError as error:
        answer = {"sentence": str(error)}
    print(json.dumps(answer), flush=True)
