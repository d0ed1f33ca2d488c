// Google's official client for Node, unmodified, asked to judge whoever listens at the given address.
//
//   node google_client.mjs URL
//
// prints one JSON of what it saw.

import { ApiError, GoogleGenAI } from "@google/genai";

const [url] = process.argv.slice(2);
const saw = {};
const client = (apiKey = "AIza-demo-1") => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
const { models, chats } = client();
const [PLAIN, THINKER, SIGNER] = ["gemini-2.0-demo", "gemini-2.5-demo", "gemini-3-demo"];
const WORDS = "!say:Grüße, 世界 🙂";

async function fault(name, params = {}) {
  const answer = await fetch(`${url}/__emu__/faults`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, times: 1, params }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

async function streamed(contents, model = PLAIN, config = {}) {
  let text = "";
  let last;
  for await (const chunk of await models.generateContentStream({ model, contents, config })) {
    text += chunk.text ?? "";
    last = chunk;
  }
  return { text, finish: last?.candidates?.[0]?.finishReason ?? null };
}

async function raised(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error instanceof ApiError ? error.status : null, error.message.slice(0, 60)];
  }
  return null;
}

const whole = await models.generateContent({ model: PLAIN, contents: WORDS });
saw.whole = { text: whole.text, finish: whole.candidates[0].finishReason };
saw.usage = whole.usageMetadata.candidatesTokenCount;
saw.streamed = await streamed(WORDS);
saw.path = JSON.parse((await models.generateContent({ model: PLAIN, contents: "!report" })).text).path;

const thinking = { thinkingConfig: { includeThoughts: true, thinkingBudget: 99 } };
const thought = await models.generateContent({
  model: THINKER,
  contents: "!think:hm, well\n!say:Yes.",
  config: thinking,
});
saw.thoughts = thought.candidates[0].content.parts.map(({ text, thought = false }) => [text, thought]);

// A round of a tool: its result goes back with the signature that the call came with.
const declared = { name: "get_weather", parametersJsonSchema: { type: "object", properties: { town: {} } } };
const chat = chats.create({ model: SIGNER, config: { tools: [{ functionDeclarations: [declared] }] } });
const called = await chat.sendMessage({ message: '!tool:get_weather:{"town":"Basel"}' });
const [{ id, name, args }] = called.functionCalls;
saw.call = { name, args };
const result = { functionResponse: { id, name, response: { result: `14 C in ${args.town}` } } };
saw.after = (await chat.sendMessage({ message: [result] })).text;

saw.models = [];
for await (const model of await models.list({ config: { pageSize: 3 } })) saw.models.push(model.name);

saw.odd = {};
for (const odd of ["bytewise", "comments", "no_space", "last_without_content", "usage_frame", "gzip"]) {
  await fault(odd);
  saw.odd[odd] = (await streamed(WORDS)).text;
}

const hello = () => models.generateContent({ model: PLAIN, contents: "Hello" });
saw.errors = { key: await raised(() => client("AIza-wrong").models.generateContent({ model: PLAIN, contents: "Hi" })) };
for (const failure of ["rate_limit", "overloaded", "context_length", "internal"]) {
  await fault(failure);
  saw.errors[failure] = await raised(hello);
}
await fault("error_frame");
saw.errors.frame = await raised(() => streamed("!say:one two three four"));
await fault("no_final_blank");
saw.errors["no final blank line"] = await raised(() => streamed("!say:one two three four"));
console.log(JSON.stringify(saw));
