// Runs the unmodified npm client against a server: node check.js BASE_URL MODEL. Prints what it saw as one JSON object.
import OpenAI, { APIError } from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'unused', maxRetries: 0 });
const question = { model, messages: [{ role: 'user', content: 'Where?' }], seed: 7, max_tokens: 12 };

async function refusal(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return error instanceof APIError
      ? { status: error.status, message: error.error?.message, param: error.param, code: error.code, type: error.type }
      : { unexpected: String(error) };
  }
}

const whole = await client.chat.completions.create({ ...question, logprobs: true, top_logprobs: 2 });

let streamed = '';
let finish = null;
let usage = null;
const stream = await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}

const helper = client.chat.completions.stream(question);
const final = await helper.finalContent();

const completion = await client.completions.create({ model, prompt: 'Where?', seed: 7, max_tokens: 12 });

const fused = await client.chat.completions.create({ ...question, fusion: { alpha: 0.5 } });

const models = [];
for await (const entry of client.models.list()) {
  models.push(entry.id);
}

console.log(JSON.stringify({
  whole: whole.choices[0].message.content,
  logprobs: whole.choices[0].logprobs.content.length,
  tokens: whole.usage.completion_tokens,
  streamed,
  finish,
  usage,
  final,
  completion: completion.choices[0].text,
  alpha: fused.fusion.alpha,
  models,
  retrieved: (await client.models.retrieve(model)).id,
  unknown: await refusal(() => client.chat.completions.create({ ...question, model: 'nobody' })),
  wrong: await refusal(() => client.chat.completions.create({ ...question, temperature: 'hot' })),
}));
