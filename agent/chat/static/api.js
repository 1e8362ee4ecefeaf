// The requests that this page makes of the agent's API.
// Knows nothing of the page; throws ApiError with a sentence for the reader.

import { eventData, inTime } from "./sse.js";

const NETWORK = "The server cannot be reached. Is quickset still running?";
const STANDING_MS = 10_000; // a server that does not say for so long how it is hangs, however busy it may be
const CUT = "The connection broke before the reply was finished.";

/** A refusal by the server, or a broken connection (status 0). */
export class ApiError extends Error {
  constructor(message, status = 0, code = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * How the server is: {version, reasons: why it takes no requests now}; null when it is away or hangs. It asks
 * for no key, and is not counted where the requests of keys are limited.
 */
export async function standing() {
  const hung = new AbortController();
  const options = { credentials: "omit", cache: "no-store", signal: hung.signal };
  try {
    const asked = fetch("/health/ready", options).then((response) => response.json());
    const { version, reasons } = await inTime(asked, STANDING_MS);
    return { version: version ?? null, reasons: reasons ?? [] };
  } catch {
    hung.abort(); // or it would hold a connection, of which a browser has six
    return null;
  }
}

/** What can be asked for; the first is what serves: {id, version, context_length, …}. */
export async function models(key) {
  const { data } = await json("/v1/models", { headers: headers(key) });
  if (!data?.length) throw new ApiError("The server offers no model.");
  return data;
}

/** One version by its name: {version, generation, parent, step}. */
export async function version(name, key) {
  return json(`/v1/models/${encodeURIComponent(`quickset@${name}`)}`, { headers: headers(key) });
}

/** The notes of what it has learned of the caller; null where this server keeps none. */
export async function notes(key) {
  try {
    return (await json("/v1/notes", { headers: headers(key) })).data;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

export async function removeNote(id, key) {
  await request(`/v1/notes/${encodeURIComponent(id)}`, { method: "DELETE", headers: headers(key) });
}

/** Say what somebody thought of a reply: {score, hint, comment}. */
export async function feedback(responseId, said, key) {
  await request(`/v1/feedback/${encodeURIComponent(responseId)}`, {
    method: "PUT",
    headers: { ...headers(key), "Content-Type": "application/json" },
    body: JSON.stringify(said),
  });
}

/**
 * Ask for a reply and yield what arrives: {id, version, dropped} as soon as they are known, {text},
 * {call: {index, id, name, arguments}}, {served: a call that the agent made and answered itself:
 * {id, server, name, arguments, outcome, output}}, {usage}, {finish}.
 *
 * body: of the request, but for `stream`; options: {key, learn, session, signal}.
 * An abort through `signal` surfaces as the fetch's own AbortError.
 */
export async function* reply(body, { key, learn, session, signal }) {
  const response = await request("/v1/chat/completions", {
    method: "POST",
    headers: {
      ...headers(key),
      "Content-Type": "application/json",
      ...(session ? { "X-Session-Id": session } : {}),
      ...(learn ? {} : { "X-Learn": "off" }),
    },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let version = response.headers.get("X-Quickset-Version");
  const dropped = Number(response.headers.get("X-Quickset-Truncated") ?? 0);
  let named = false;
  let finished = false;
  for await (const data of chunks(response)) {
    if (data === "[DONE]") return;
    const chunk = parse(data);
    if (chunk.error) {
      const { message, code } = chunk.error;
      throw new ApiError(message ?? "The server stopped the reply.", response.status, code);
    }
    version ??= chunk.system_fingerprint;
    if (!named && version) {
      named = true;
      yield { id: chunk.id, version, dropped };
    }
    yield* said(chunk);
    finished ||= Boolean(chunk.choices?.[0]?.finish_reason);
  }
  if (!finished) throw new ApiError(CUT);
}

function* said({ choices, usage }) {
  const { delta, finish_reason } = choices?.[0] ?? {};
  if (delta?.content) yield { text: delta.content };
  for (const { index, id, function: called } of delta?.tool_calls ?? []) {
    yield { call: { index, id, name: called?.name, arguments: called?.arguments ?? "" } };
  }
  for (const served of delta?.server_tool_calls ?? []) yield { served };
  if (finish_reason) yield { finish: finish_reason };
  if (usage) yield { usage };
}

async function* chunks(response) {
  try {
    yield* eventData(response.body);
  } catch (cause) {
    throw cause.name === "AbortError" ? cause : new ApiError(CUT);
  }
}

async function json(url, options) {
  return (await request(url, options)).json();
}

async function request(url, options) {
  const dead = new AbortController();
  const signal = AbortSignal.any([dead.signal, ...(options.signal ? [options.signal] : [])]);
  let response;
  try {
    response = await inTime(fetch(url, { ...options, signal, credentials: "omit", cache: "no-store" }));
  } catch (cause) {
    dead.abort();
    throw cause.name === "AbortError" ? cause : new ApiError(NETWORK);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const error = await response.json().then((body) => body.error, () => null);
  const message = error?.message || `The server answered ${response.status} ${response.statusText}.`;
  const whole = error?.param && !message.includes(error.param) ? `${message} (${error.param})` : message;
  return new ApiError(whole[0].toUpperCase() + whole.slice(1), response.status, error?.code);
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
