// Shows /openapi.json as a page: endpoints by API, what each takes and answers.
// Text of the document is put in as text; a schema is drawn when it is opened.

const about = document.getElementById("about");
const place = document.getElementById("operations");

/** Make an element: class names after dots, then children, which are elements or texts. */
function make(kind, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  element.append(...children.filter((child) => child !== ""));
  return element;
}

/** Give the schema that a reference stands for, and its name. */
function resolve(schema, schemas) {
  const name = schema.$ref?.split("/").pop();
  return name ? { name, schema: schemas[name] } : { name: "", schema };
}

/** Say in a few words what a schema allows. */
function typeOf(given, schemas) {
  const { name, schema } = resolve(given, schemas);
  if (name) return name;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((each) => typeOf(each, schemas)).join(" | ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `${typeOf(schema.items ?? {}, schemas)}[]`;
  const bounds = [
    ["minimum", "≥"], ["maximum", "≤"], ["exclusiveMinimum", ">"], ["maxLength", "length ≤"], ["maxItems", "items ≤"],
  ].filter(([key]) => key in schema).map(([key, sign]) => `${sign} ${schema[key]}`);
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type;
  return [type ?? "any", ...bounds].join(", ");
}

/** Give the objects with fields that a schema may be, each with its name. */
function objects(given, schemas, seen = new Set()) {
  const { name, schema } = resolve(given, schemas);
  if (!schema || (name && seen.has(name))) return [];
  const known = name ? new Set(seen).add(name) : seen;
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (schema.items) inner.push(schema.items);
  if (schema.contentSchema) inner.push(schema.contentSchema);
  const own = schema.properties ? [{ name, schema }] : [];
  return [...own, ...inner.flatMap((each) => objects(each, schemas, known))];
}

/** Draw the fields of an object; what they hold is drawn when it is opened. */
function fields({ schema }, schemas) {
  const list = make("dl.fields");
  for (const [name, field] of Object.entries(schema.properties)) {
    const needed = schema.required?.includes(name) ? make("span.needed", " needed") : "";
    list.append(make("dt", name, " ", make("span.type", typeOf(field, schemas)), needed));
    const said = make("dd", field.description ? make("span.description", field.description) : "");
    for (const each of objects(field, schemas)) said.append(folded(each, schemas));
    list.append(said);
  }
  return list;
}

/** Fold an object away until somebody opens it. */
function folded(object, schemas) {
  const more = make("details", make("summary", make("span.type", object.name || "object")));
  more.addEventListener("toggle", () => {
    if (more.open && more.children.length === 1) more.append(fields(object, schemas));
  });
  return more;
}

/** Draw what a request or a response holds, by media type. */
function content(held, schemas) {
  return Object.entries(held ?? {}).map(([type, { schema }]) =>
    make("div", make("span.type", `${type}: ${typeOf(schema, schemas)}`), ...objects(schema, schemas).map((each) => folded(each, schemas))));
}

/** Draw one endpoint. */
function operation(method, path, described, schemas) {
  const body = make("div");
  if (described.parameters.length) {
    const list = make("dl.fields");
    for (const each of described.parameters) {
      const needed = each.required ? make("span.needed", " needed") : "";
      list.append(make("dt", each.name, " ", make("span.type", `${each.in}: ${typeOf(each.schema, schemas)}`), needed));
      list.append(make("dd", make("span.description", each.schema.description ?? "")));
    }
    body.append(make("h4", "Parameters"), list);
  }
  if (described.requestBody) body.append(make("h4", "Body"), ...content(described.requestBody.content, schemas));
  body.append(make("h4", "Responses"));
  for (const [status, response] of Object.entries(described.responses)) {
    body.append(make("p", make("span.method", status), response.description), ...content(response.content, schemas));
  }
  const head = make("summary", make("span.method", method.toUpperCase()), make("span.path", path), make("span.summary", described.summary));
  return make("details.operation", head, body);
}

/** Draw the whole document. */
function draw(description) {
  const { schemas } = description.components;
  about.replaceChildren(description.info.summary, " ", description.info.description, " The description itself: ");
  const link = make("a", "/openapi.json");
  link.href = "/openapi.json";
  about.append(link);
  for (const { name } of description.tags) {
    place.append(make("h2", name));
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, described] of Object.entries(methods)) {
        if (described.tags[0] === name) place.append(operation(method, path, described, schemas));
      }
    }
  }
}

try {
  const response = await fetch("/openapi.json", { credentials: "omit" });
  draw(await response.json());
} catch (cause) {
  about.textContent = `The description cannot be read: ${cause.message}`;
}
