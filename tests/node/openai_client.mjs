// The official client for Node, unmodified, asked to judge whoever listens at OPENAI_BASE_URL.
//
//   node openai_client.mjs SCENE '{"model": ..., "messages": [...]}'
//
// prints one JSON: {"ok": ...} or {"error": {class, status, code, type, param, requestID, message}}.

import OpenAI from "openai";
import { makeParseableResponseFormat } from "openai/lib/parser";

const [scene, text = "{}", settings = "{}"] = process.argv.slice(2);
const asked = JSON.parse(text);
const client = new OpenAI(JSON.parse(settings)); // key and base URL come from the environment

const scenes = {
  async create() {
    const { data, response, request_id } = await client.chat.completions.create(asked).withResponse();
    return { completion: data, status: response.status, request_id };
  },

  async stream() {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) chunks.push(chunk);
    return { chunks };
  },

  async helper() {
    const stream = client.chat.completions.stream(asked);
    let text = "";
    stream.on("content", (delta) => (text += delta));
    return { completion: await stream.finalChatCompletion(), text };
  },

  async parse() {
    const format = makeParseableResponseFormat(asked.response_format, JSON.parse);
    const completion = await client.chat.completions.parse({ ...asked, response_format: format });
    return { parsed: completion.choices[0].message.parsed };
  },

  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { ids, one: asked.model ? await client.models.retrieve(asked.model) : null };
  },

  async hangup() {
    const stream = await client.chat.completions.create({ ...asked, stream: true });
    let count = 0;
    for await (const _ of stream) if (++count === 3) break; // leaving the loop closes the connection
    return { count };
  },
};

try {
  console.log(JSON.stringify({ ok: await scenes[scene]() }));
} catch (error) {
  const { status, code, type, param, requestID, message } = error;
  const name = error.constructor.name;
  console.log(JSON.stringify({ error: { class: name, status, code, type, param, requestID, message } }));
}
