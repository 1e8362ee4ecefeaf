// Server-sent events out of a fetch body: bytes in, the data of each event out.
// Knows nothing of what the data means.

// The agent says that it is still here every 15 s (agent.keep_alive_s); a line over which nothing has
// come for so long is dead, though the browser may not notice for many minutes.
const DEAD_MS = 60_000;

/** Yield the data of every event of a byte stream, in order. Throws when nothing comes any more. */
export async function* eventData(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await inTime(reader.read());
      if (done) break;
      buffer += value;
      const lines = buffer.split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line[5] === " " ? 6 : 5));
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the reader may already be broken; there is nothing to save
  }
}

/** What a promise comes to, unless the line is dead: nothing comes for a time. */
export function inTime(reading, deadMs = DEAD_MS) {
  let timer = 0;
  const dead = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("nothing comes any more")), deadMs);
  });
  return Promise.race([reading, dead]).finally(() => clearTimeout(timer));
}
