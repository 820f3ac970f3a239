using System.Text;
using System.Text.Json;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Models;

/// <summary>The body of a request for one row. Thread-safe.</summary>
internal sealed class RemotePromptWriter(RemoteOptions options, Tokenizer tokenizer)
{
    /// <summary>Fields that only this class writes.</summary>
    public static readonly IReadOnlyList<string> Own = ["model", "prompt", "max_tokens", "temperature", "logprobs"];

    // What the remote's tokenizer will put in front of a text by itself.
    private readonly int[] added = options.Prompt == RemotePrompt.Text ? tokenizer.Encode("") : [];

    public byte[] Write(ReadOnlySpan<int> tokens)
    {
        using MemoryStream body = new();
        using (Utf8JsonWriter json = new(body))
        {
            json.WriteStartObject();
            json.WriteString("model", options.Model);
            WritePrompt(json, tokens);
            json.WriteNumber("max_tokens", 1);

            // Greedy: then no server's list needs the drawn token as an extra, and none rescales the log-probabilities.
            json.WriteNumber("temperature", 0);
            json.WriteNumber("logprobs", options.TopLogprobs);
            foreach ((string name, JsonElement value) in options.Body)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }

            json.WriteEndObject();
        }

        return body.ToArray();
    }

    private void WritePrompt(Utf8JsonWriter json, ReadOnlySpan<int> tokens)
    {
        if (options.Prompt == RemotePrompt.Text)
        {
            json.WriteString("prompt", Text(tokens));
            return;
        }

        json.WriteStartArray("prompt");
        foreach (int id in tokens)
        {
            json.WriteNumberValue(id);
        }

        json.WriteEndArray();
    }

    private string Text(ReadOnlySpan<int> tokens)
    {
        using MemoryStream bytes = new();
        foreach (int id in tokens.StartsWith(added) ? tokens[added.Length..] : tokens)
        {
            bytes.Write(tokenizer.TokenBytes(id));
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}
