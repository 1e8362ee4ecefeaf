// The three requests that this page makes of the OpenAI-compatible API.
// Knows nothing of the page; throws ApiError with a sentence for the reader.

import { eventData } from "./sse.js";

const NETWORK = "The server cannot be reached. Is quickset still running?";
const CUT = "The connection broke before the reply was finished.";

/** A refusal by the server, or a broken connection (status 0). */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Give the model to ask for: {id, version}, the version that would answer now. */
export async function model(key) {
  const response = await request("/v1/models", { headers: headers(key) });
  const models = (await response.json()).data;
  if (!models?.length) throw new ApiError("The server offers no model.");
  return models[0];
}

/**
 * Ask for a reply and yield what arrives: {id, version} as soon as both are known, {text}, {finish}.
 * An abort through `signal` surfaces as the fetch's own AbortError.
 */
export async function* reply(name, messages, { key, learn, signal }) {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: { ...headers(key), "Content-Type": "application/json", ...(learn ? {} : { "X-Learn": "off" }) },
    body: JSON.stringify({ model: name, messages, stream: true }),
    signal,
  });
  let version = response.headers.get("X-Quickset-Version");
  let named = false;
  let finished = false;
  for await (const data of chunks(response)) {
    if (data === "[DONE]") return;
    const chunk = parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message ?? "The server stopped the reply.", response.status);
    version ??= chunk.system_fingerprint;
    if (!named && version) {
      named = true;
      yield { id: chunk.id, version };
    }
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) yield { text: choice.delta.content };
    if (choice?.finish_reason) {
      finished = true;
      yield { finish: choice.finish_reason };
    }
  }
  if (!finished) throw new ApiError(CUT);
}

/** Say what somebody thought of a reply: score −1, 0 or 1, and what it should have done. */
export async function feedback(responseId, { score, hint, key }) {
  await request(`/v1/feedback/${encodeURIComponent(responseId)}`, {
    method: "PUT",
    headers: { ...headers(key), "Content-Type": "application/json" },
    body: JSON.stringify(hint ? { score, hint } : { score }),
  });
}

async function* chunks(response) {
  try {
    yield* eventData(response.body);
  } catch (cause) {
    throw cause.name === "AbortError" ? cause : new ApiError(CUT);
  }
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, credentials: "omit", cache: "no-store" });
  } catch (cause) {
    throw cause.name === "AbortError" ? cause : new ApiError(NETWORK);
  }
  if (!response.ok) throw new ApiError(await explanation(response), response.status);
  return response;
}

async function explanation(response) {
  const error = await response.json().then((body) => body.error, () => null);
  const message = error?.message || `The server answered ${response.status} ${response.statusText}.`;
  const whole = error?.param && !message.includes(error.param) ? `${message} (${error.param})` : message;
  return whole[0].toUpperCase() + whole.slice(1);
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ApiError("The server sent something that is not a reply.");
  }
}

function headers(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
