// An application beside the worker: it adds rows, changes its own columns, and reads.
// Reads {client: "prisma" | "drizzle", databaseUrl, insert: [row], update: [row]}; what to update is found by `email`.
// With Prisma also upsert: [row], as a webhook route does.
// Prints all rows in the order of their addresses. Times are in milliseconds since the epoch, in columns named …At.
import { readFileSync } from "node:fs";

const CLIENTS = {
  async prisma(url) {
    const { PrismaPg } = await import("@prisma/adapter-pg");
    const { default: generated } = await import("./prisma_user/index.js");
    const adapter = new PrismaPg({ connectionString: url });
    const prisma = new generated.PrismaClient({ adapter });
    return {
      insert: (data) => prisma.user.create({ data }),
      update: (email, data) => prisma.user.update({ where: { email }, data }),
      upsert: (data) => {
        const { clerkId } = data;
        return prisma.user.upsert({ where: { clerkId }, create: data, update: data });
      },
      read: () => prisma.user.findMany({ orderBy: { email: "asc" } }),
      end: () => prisma.$disconnect(),
    };
  },
  async drizzle(url) {
    const { drizzle } = await import("drizzle-orm/node-postgres");
    const { eq } = await import("drizzle-orm");
    const { members } = await import("./drizzle_members.mjs");
    const database = drizzle(url);
    return {
      insert: (data) => database.insert(members).values(data),
      update: (email, data) => database.update(members).set(data).where(eq(members.email, email)),
      read: () => database.select().from(members).orderBy(members.email),
      end: () => database.$client.end(),
    };
  },
};

function eachTime(row, convert) {
  const converted = Object.entries(row).map(([name, value]) => [
    name,
    name.endsWith("At") && value !== null ? convert(value) : value,
  ]);
  return Object.fromEntries(converted);
}

const question = JSON.parse(readFileSync(0, "utf8"));
const client = await CLIENTS[question.client](question.databaseUrl);
const toDate = (milliseconds) => new Date(milliseconds);
for (const row of question.insert) {
  await client.insert(eachTime(row, toDate));
}
for (const { email, ...row } of question.update) {
  await client.update(email, eachTime(row, toDate));
}
for (const row of question.upsert ?? []) {
  const upsert = () => client.upsert(eachTime(row, toDate));
  // Svix repeats what fails; an upsert can meet a row that is being inserted.
  await upsert().catch(upsert);
}
const rows = await client.read();
await client.end();
console.log(JSON.stringify(rows.map((row) => eachTime(row, (date) => date.getTime()))));
