// Signs with the official package and posts, as Svix does for Clerk.
// Reads {url, deliveries: [{svixId, prefix, secret, age, signed, sent}]}; age is in seconds.
// Prints [{status, headers}].
import { readFileSync } from "node:fs";
import { Webhook } from "svix";

const { url, deliveries } = JSON.parse(readFileSync(0, "utf8"));
const sent = [];
for (const delivery of deliveries) {
  const at = new Date(Date.now() - delivery.age * 1000);
  const headers = {
    "content-type": "application/json",
    [`${delivery.prefix}-id`]: delivery.svixId,
    [`${delivery.prefix}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
    [`${delivery.prefix}-signature`]: new Webhook(delivery.secret).sign(
      delivery.svixId,
      at,
      delivery.signed,
    ),
  };
  const answer = await fetch(url, { method: "POST", headers, body: delivery.sent });
  sent.push({ status: answer.status, headers });
}
console.log(JSON.stringify(sent));
