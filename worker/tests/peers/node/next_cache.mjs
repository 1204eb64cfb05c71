// The cache of a Next.js application: the handler `redis-strings` of one of the packages, which does all
// that is said to Redis.
// Reads {package, redisUrl, keyPrefix, write: [{key, tags, value}], revalidate: [tag], read: [{key,
// implicitTags}]} and does that in this order. Prints the value of each that is read, or null.
import { readFileSync } from "node:fs";

const PACKAGES = {
  "@neshca/cache-handler": "redis",
  "@fortedigital/nextjs-cache-handler": "@redis/client",
};

const question = JSON.parse(readFileSync(0, "utf8"));
const { createClient } = await import(PACKAGES[question.package]);
const { default: createHandler } = await import(`${question.package}/redis-strings`);

const client = createClient({ url: question.redisUrl });
await client.connect();
const handler = createHandler({ client, keyPrefix: question.keyPrefix });
for (const { key, tags, value } of question.write ?? []) {
  // What the packages' class CacheHandler makes of what Next.js hands it.
  const now = Date.now();
  const second = Math.floor(now / 1000);
  const lifespan = {
    lastModifiedAt: second,
    staleAt: second + 600,
    expireAt: second + 900,
    staleAge: 600,
    expireAge: 900,
    revalidate: 600,
  };
  await handler.set(key, { lastModified: now, lifespan, tags, value: { kind: "FETCH", data: value } });
}
for (const tag of question.revalidate ?? []) {
  await handler.revalidateTag(tag);
}
const read = [];
for (const { key, implicitTags } of question.read ?? []) {
  const entry = await handler.get(key, { implicitTags });
  read.push(entry?.value.data ?? null);
}
await client.disconnect();
console.log(JSON.stringify(read));
