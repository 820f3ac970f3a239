using System.Text.Json.Nodes;

namespace ProxyTune.Trainer.Data;

/// <summary>The position in a stream of packed documents.</summary>
/// <param name="NextDocument">Index of the next document to read.</param>
/// <param name="Left">The token ids that were read and not yet used.</param>
internal sealed record PackedPosition(long NextDocument, int[] Left)
{
    public static PackedPosition Start { get; } = new(0, []);

    public JsonObject ToJson() => new() { ["next_document"] = NextDocument, ["left"] = new JsonArray([.. Left.Select(id => (JsonNode)id)]) };

    public static PackedPosition FromJson(JsonObject json) => new((long)json["next_document"]!, [.. json["left"]!.AsArray().Select(id => (int)id!)]);
}

/// <summary>Documents in sequence, with an end-of-text token after each, cut into equal pieces.</summary>
/// <param name="documents">Returns the token ids of the document at an index; always the same for the same index.</param>
internal sealed class PackedTokens(Func<long, int[]> documents, int endOfText, PackedPosition position)
{
    private readonly List<int> left = [.. position.Left];
    private long next = position.NextDocument;

    /// <summary>Returns <paramref name="count"/> tokens and the next one. The next piece begins with that one, so that each token is a target once.</summary>
    public int[] Take(int count)
    {
        while (left.Count <= count)
        {
            left.AddRange(documents(next++));
            left.Add(endOfText);
        }

        int[] piece = left.GetRange(0, count + 1).ToArray();
        left.RemoveRange(0, count);
        return piece;
    }

    public PackedPosition Position => new(next, [.. left]);
}
