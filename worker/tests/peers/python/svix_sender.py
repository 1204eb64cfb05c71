"""Signs with the official package and posts with the standard library, as Svix does for Clerk.

Reads {url, deliveries: [{svixId, prefix, secret, age, signed, sent}]}; age is in seconds.
Prints [{status, headers}].
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from svix.webhooks import Webhook


def send(url, delivery):
    at = datetime.now(tz=timezone.utc) - timedelta(seconds=delivery["age"])
    prefix, svix_id = delivery["prefix"], delivery["svixId"]
    headers = {
        "content-type": "application/json",
        f"{prefix}-id": svix_id,
        f"{prefix}-timestamp": str(int(at.timestamp())),
        f"{prefix}-signature": Webhook(delivery["secret"]).sign(svix_id, at, delivery["signed"]),
    }
    request = urllib.request.Request(url, delivery["sent"].encode(), headers)
    try:
        status = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        status = error.code
    return {"status": status, "headers": headers}


sent = json.load(sys.stdin.buffer)
print(json.dumps([send(sent["url"], delivery) for delivery in sent["deliveries"]]))
