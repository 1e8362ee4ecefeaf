// Drives Anthropic's npm client against a server: node anthropic.mjs <address>; prints what came as JSON.

import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const asked = { model: "quickset", max_tokens: 20, messages: [{ role: "user", content: "Hi there" }] };
const tried = {};

tried.message = (await client.messages.create(asked)).content[0].text;

tried.events = [];
for await (const event of await client.messages.create({ ...asked, stream: true })) tried.events.push(event.type);
const stream = client.messages.stream(asked);
tried.helper = (await stream.finalMessage()).content[0].text;
tried.counted = (await client.messages.countTokens({ model: asked.model, messages: asked.messages })).input_tokens;
tried.models = [];
for await (const each of client.models.list()) tried.models.push(each.id);
tried.refused = await client.messages.create({ ...asked, messages: [] }).catch((error) => [error.status, error.error?.error?.type]);

console.log(JSON.stringify(tried));
