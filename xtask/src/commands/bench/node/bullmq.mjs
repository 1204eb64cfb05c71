// The usual queue: the event is a job before the answer.
import { Queue } from "bullmq";
import { serve } from "./webhook_server.mjs";

const { hostname, port } = new URL(process.env.REDIS_URL);
const queue = new Queue("clerk", { connection: { host: hostname, port: Number(port) } });

serve((event, svixId) => queue.add(event.type, event, { jobId: svixId }));
