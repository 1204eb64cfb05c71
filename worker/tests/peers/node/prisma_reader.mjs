// Prints the users as Prisma reads them, times in milliseconds since the epoch.
// Reads {databaseUrl}.
import { readFileSync } from "node:fs";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "@prisma/client";

const { databaseUrl } = JSON.parse(readFileSync(0, "utf8"));
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: databaseUrl }) });
const users = await prisma.user.findMany({ orderBy: { id: "asc" } });
await prisma.$disconnect();
console.log(
  JSON.stringify(
    users.map((user) => ({
      ...user,
      createdAt: user.createdAt.getTime(),
      updatedAt: user.updatedAt.getTime(),
    })),
  ),
);
