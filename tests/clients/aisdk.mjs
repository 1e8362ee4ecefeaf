// Drives Vercel's AI SDK against a server: node aisdk.mjs <address>; prints what came as JSON.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, streamText } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "quickset",
  baseURL: `${process.argv[2]}/v1`,
  supportsStructuredOutputs: true,
});
const model = provider("quickset");
const maxRetries = 0;
const tried = {};

tried.text = (await generateText({ model, prompt: "Hi there", maxRetries })).text;

tried.stream = "";
for await (const piece of streamText({ model, prompt: "Hi there", maxRetries }).textStream) {
  tried.stream += piece;
}

const schema = z.object({ city: z.enum(["Oslo", "Rome"]), days: z.number().int().min(0).max(99) });
tried.object = await generateObject({ model, schema, prompt: "Weather?", maxOutputTokens: 300, maxRetries })
  .then((made) => made.object)
  .catch((error) => `${error.name}: ${error.message}`);

console.log(JSON.stringify(tried));
