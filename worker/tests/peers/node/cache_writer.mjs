// Caches values under tags, as an application does: the tag is a SET of the names of the entries.
// Reads {redisUrl, entries: [{name, value, tags}]}; a value that is an object becomes a hash.
import { readFileSync } from "node:fs";
import { createClient } from "@redis/client";

const { redisUrl, entries } = JSON.parse(readFileSync(0, "utf8"));
const redis = await createClient({ url: redisUrl }).connect();
for (const { name, value, tags } of entries) {
  const step = redis.multi();
  if (typeof value === "string") {
    step.set(name, value, { expiration: { type: "EX", value: 3600 } });
  } else {
    step.hSet(name, value);
  }
  for (const tag of tags) {
    step.sAdd(tag, name);
  }
  await step.exec();
}
await redis.close();
