// Drives OpenAI's npm client against a server: node openai.mjs <address>; prints what came as JSON.

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });
const model = "quickset";
const messages = [{ role: "user", content: "Hi there" }];
const tried = {};

const whole = await client.chat.completions.create({ model, messages });
tried.chat = whole.choices[0].message.content;

tried.stream = "";
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  tried.stream += chunk.choices[0]?.delta?.content ?? "";
}
const runner = client.chat.completions.stream({ model, messages });
tried.helper = (await runner.finalChatCompletion()).choices[0].message.content;

const first = await client.responses.create({ model, input: "Hi" });
const second = await client.responses.create({ model, input: "And?", previous_response_id: first.id });
tried.responses = second.output_text;
tried.retrieved = (await client.responses.retrieve(second.id)).output_text;
tried.items = [];
for await (const item of client.responses.inputItems.list(second.id, { order: "asc", limit: 1 })) tried.items.push(item.role);
await client.responses.delete(first.id);
tried.deleted = await client.responses.retrieve(first.id).catch((error) => error.status);

const stream = client.responses.stream({ model, input: "Hi" });
tried.responsesHelper = (await stream.finalResponse()).output_text;
tried.completion = (await client.completions.create({ model, prompt: "Hi" })).choices[0].text;
tried.models = [];
for await (const each of client.models.list()) tried.models.push(each.id);
tried.refused = await client.chat.completions.create({ model, messages, n: 99 }).catch((error) => [error.status, error.param]);

console.log(JSON.stringify(tried));
