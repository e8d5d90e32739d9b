"""Fetches what each line of its input names, and prints the commit or the sentence: the genuine client in a process."""

import json
import sys

from smallvit.errors import UserError
from smallvit.hub.download import HubModel, download_model_folder

for line in sys.stdin:
    try:
        folder, commit = download_model_folder(HubModel.parse(line.strip()))
        answer = {"commit": commit, "path": str(folder.path), "variant": folder.record.variant}
    except UserError as error:
        answer = {"sentence": str(error)}
    print(json.dumps(answer), flush=True)
