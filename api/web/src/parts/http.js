// Calls to our own API; a refusal becomes an `ApiProblem` with its stable code.

export class ApiProblem extends Error {
  constructor(code, status, detail) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

/** One call under /v1; the answer's JSON, or null. Throws ApiProblem. */
export async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

/** The bytes behind a path under /v1. Throws ApiProblem. */
export async function fetchBytes(path) {
  return new Uint8Array(await (await send("GET", path)).arrayBuffer());
}

async function send(method, path, body) {
  const options = { method, credentials: "same-origin", cache: "no-store", headers: {} };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch("/v1" + path, options);
  } catch {
    throw new ApiProblem("offline", 0, "no connection");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ type: "unreadable", detail: String(response.status) }));
  throw new ApiProblem(problem.type.split(":").pop(), response.status, problem.detail);
}

/** Leave the seat where there is one, end the session, go to the first page. */
export async function signOut(agent) {
  if (agent) await call("DELETE", "/agents/me/seat").catch(() => null);
  await call("DELETE", "/session").catch(() => null);
  location.assign("/");
}
