// Anthropic's official client for Node, unmodified, asked to judge whoever listens at the given address.
//
//   node anthropic_client.mjs URL KEY MODEL
//
// prints one JSON of what it saw.

import Anthropic, { APIError } from "@anthropic-ai/sdk";

const [baseURL, apiKey, model] = process.argv.slice(2);
const saw = {};
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const user = (content) => ({ role: "user", content });
const asking = (content, more = {}) => ({ model, max_tokens: 2000, messages: [user(content)], ...more });

async function told(what, body) {
  const answer = await fetch(`${baseURL}/__emu__/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
const fault = (name, times = 1, params = {}) => told("faults", { name, times, params });

async function raised(call) {
  try {
    await call();
  } catch (error) {
    const { status, requestID } = error instanceof APIError ? error : {};
    return [error.constructor.name, status ?? null, error.error?.error?.type ?? null, Boolean(requestID)];
  }
  return null;
}

const kept = ({ content, stop_reason, stop_sequence, usage }) => ({
  content: content.map(({ id, ...rest }) => Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null))),
  stop_reason,
  stop_sequence,
  output_tokens: usage.output_tokens,
});

const WEATHER = {
  name: "get_weather",
  input_schema: { type: "object", properties: { town: { type: "string" } }, required: ["town"] },
};
const ASKED = {
  words: asking("Grüße, 世界! 👩‍👩‍👧‍👦"),
  tools: asking('!say:Let me look.\n!tool:get_weather:{"town":"Zürich"}\n!tool:get_weather:{}', { tools: [WEATHER] }),
  thoughts: asking("!think:hm, let me see\n!say:yes", { thinking: { type: "enabled", budget_tokens: 1024 } }),
  limit: asking("one two three four five six", { max_tokens: 3 }),
  stop: asking("one two three", { stop_sequences: ["two"] }),
};
for (const [name, asked] of Object.entries(ASKED)) {
  const unary = kept(await client.messages.create(asked));
  const added = kept(await client.messages.stream(asked).finalMessage());
  saw[name] = { unary, added };
}
const { response } = await client.messages.create(asking("hello")).withResponse();
saw.request_id = response.headers.get("request-id");

saw.odd = {};
for (const name of ["crlf", "comments", "pings", "bytewise", "done", "unknown_deltas"]) {
  await fault(name);
  saw.odd[name] = (await client.messages.stream(asking("one two three")).finalText()) === "one two three";
}

saw.errors = {};
for (const name of ["invalid_request", "authentication", "permission", "not_found", "rate_limit", "overloaded"]) {
  await fault(name);
  saw.errors[name] = await raised(() => client.messages.create(asking("hello")));
}
await fault("error_event", 1, { type: "overloaded_error" });
saw.errors.within = await raised(() => client.messages.stream(asking("one two three")).finalMessage());

const patient = new Anthropic({ baseURL, apiKey, maxRetries: 2 });
await fault("overloaded", 2, { retry_after_ms: 10 });
saw.retried = (await patient.messages.create(asking("!say:at last"))).content[0].text;
saw.models = [];
for await (const one of client.models.list({ limit: 2 })) saw.models.push(one.id);
console.log(JSON.stringify(saw));
