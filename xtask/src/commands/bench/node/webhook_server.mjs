// The part that both routes share: reads a request, verifies it with Svix's own package, and answers
// once `accept` has done its work.
import { createServer } from "node:http";
import { Webhook } from "svix";

export function serve(accept) {
  const webhook = new Webhook(process.env.SIGNING_SECRET);

  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const answer = (status, text) => {
        response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
        response.end(text);
      };
      let event;
      try {
        // It parses what it has verified.
        event = webhook.verify(Buffer.concat(chunks).toString(), request.headers);
      } catch {
        return answer(400, "invalid webhook\n");
      }
      try {
        await accept(event, request.headers["svix-id"]);
        answer(200, "queued\n");
      } catch (error) {
        console.error(error);
        answer(503, "try again later\n");
      }
    });
  });
  server.listen(Number(process.env.PORT), "127.0.0.1");
}
