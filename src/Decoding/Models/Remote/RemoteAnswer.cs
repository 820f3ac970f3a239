using System.Text.Json;

namespace ProxyTune.Decoding.Models;

/// <summary>Reads the likeliest tokens out of an answer, in OpenAI's completion shape or in its chat shape, which llama.cpp uses for both.</summary>
internal static class RemoteAnswer
{
    /// <summary>The largest accepted log-probability. Rounding can put the logarithm of 1 slightly above 0.</summary>
    private const double MaxLogprob = 1e-3;

    /// <exception cref="FormatException">The answer is wrong. The message is a predicate without its subject.</exception>
    public static IReadOnlyList<RemoteToken> Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            return Read(document.RootElement);
        }
        catch (JsonException)
        {
            throw new FormatException("answered with what is no JSON");
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException)
        {
            // JsonElement throws these for a wrong type and for a missing member.
            throw new FormatException("answered with JSON of another shape than OpenAI's completions");
        }
    }

    private static List<RemoteToken> Read(JsonElement root)
    {
        JsonElement choices = root.GetProperty("choices");
        JsonElement choice = choices.GetArrayLength() > 0 ? choices[0] : throw new FormatException("answered without a choice");
        List<RemoteToken> tokens = Member(choice, "logprobs") is not { ValueKind: JsonValueKind.Object } logprobs ? []
            : First(logprobs, "content") is { } chat ? [.. chat.GetProperty("top_logprobs").EnumerateArray().Select(Chat)]
            : First(logprobs, "top_logprobs") is { } completion ? [.. completion.EnumerateObject().Select(Completion)]
            : [];
        if (tokens.Count == 0)
        {
            string? finish = Member(choice, "finish_reason") is { ValueKind: JsonValueKind.String } reason ? reason.GetString() : null;
            throw new FormatException(finish == "stop"
                ? "answered with an end of text but without its log-probabilities; a server with the field ignore_eos needs it in \"body\""
                : "answered without log-probabilities");
        }

        return tokens;
    }

    private static RemoteToken Chat(JsonElement token) => new(token.GetProperty("token").GetString() ?? "", Logprob(token.GetProperty("logprob")))
    {
        Id = Member(token, "id") is { ValueKind: JsonValueKind.Number } id && id.TryGetInt32(out int value) ? value : null,
        Bytes = Member(token, "bytes") is { ValueKind: JsonValueKind.Array } bytes ? [.. bytes.EnumerateArray().Select(Byte)] : null,
    };

    private static RemoteToken Completion(JsonProperty token) => new(token.Name, Logprob(token.Value));

    private static double Logprob(JsonElement number)
    {
        double value = number.GetDouble();
        return value <= MaxLogprob ? Math.Min(value, 0) : throw new FormatException(FormattableString.Invariant($"answered with a log-probability of {value}"));
    }

    private static byte Byte(JsonElement number) =>
        number.TryGetByte(out byte value) ? value : throw new FormatException("answered with a token whose bytes are none");

    private static JsonElement? First(JsonElement parent, string name) =>
        Member(parent, name) is { ValueKind: JsonValueKind.Array } array && array.GetArrayLength() > 0 && array[0].ValueKind == JsonValueKind.Object ? array[0] : null;

    private static JsonElement? Member(JsonElement parent, string name) => parent.TryGetProperty(name, out JsonElement value) ? value : null;
}
