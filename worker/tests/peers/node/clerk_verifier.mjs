// What an application would accept that verifies deliveries itself, with Clerk's own package.
// Reads {secret, requests: [{headers, body}]}. Prints the id of the event's object for each, or null
// for one that is refused.
import { readFileSync } from "node:fs";
import { verifyWebhook } from "@clerk/backend/webhooks";

const { secret, requests } = JSON.parse(readFileSync(0, "utf8"));
const accepted = [];
for (const { headers, body } of requests) {
  const request = new Request("http://application.example", { method: "POST", headers, body });
  try {
    const event = await verifyWebhook(request, { signingSecret: secret });
    accepted.push(event.data.id);
  } catch {
    accepted.push(null);
  }
}
console.log(JSON.stringify(accepted));
