using System.Text;
using System.Text.Json;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Models;

/// <summary>Writes the body of a request for one row. Thread-safe.</summary>
internal sealed class RemotePromptWriter(RemoteOptions options, Tokenizer tokenizer)
{
    /// <summary>Fields that only this class writes.</summary>
    public static readonly IReadOnlyList<string> Own = ["model", "prompt", "max_tokens", "temperature", "logprobs"];

    // The tokens that the remote's tokenizer puts before a text.
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

            // With greedy decoding no server adds the drawn token to the list, and none rescales the log-probabilities.
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
