"""Signs with the official package and posts with the standard library.

Arguments: the URL of the endpoint, the signing secret.
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from svix.webhooks import Webhook

url, secret = sys.argv[1:]
body = json.dumps({"type": "user.deleted", "data": {"id": "user_1", "name": "Zo\u00eb"}}, ensure_ascii=False)


def status(svix_id, signed_with=secret, at=None, prefix="svix", sent=body):
    at = at or datetime.now(tz=timezone.utc)
    headers = {
        "content-type": "application/json",
        f"{prefix}-id": svix_id,
        f"{prefix}-timestamp": str(int(at.timestamp())),
        f"{prefix}-signature": Webhook(signed_with).sign(svix_id, at, body),
    }
    try:
        return urllib.request.urlopen(urllib.request.Request(url, sent.encode(), headers)).status
    except urllib.error.HTTPError as error:
        return error.code


now = datetime.now(tz=timezone.utc)
answers = [
    status("msg_python"),
    status("msg_unbranded", prefix="webhook"),
    status("msg_other_secret", signed_with="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
    status("msg_old", at=now - timedelta(minutes=6)),
    status("msg_future", at=now + timedelta(minutes=6)),
    status("msg_changed", sent=body + " "),
]
assert answers == [200, 200, 400, 400, 400, 400], answers
