using System.Globalization;
using global::Onnx;
using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>What a graph's metadata say about it beyond its nodes. A graph of the plain form has no notes.</summary>
internal static class GraphNotes
{
    private const string Heads = GraphIndex.OwnPrefix + "heads", LongRope = GraphIndex.OwnPrefix + "long_rope";

    public static void Write(GraphWriter graph, DecoderSpec spec)
    {
        // Without a note, the model's head size follows from the scale of attention.
        HeadLayout heads = HeadLayout.Of(spec);
        if (spec.AttentionScale is not null || heads.Rotary != heads.Size)
        {
            graph.Note(Heads, Numbers(heads.Size, heads.Padded, heads.Rotary));
        }

        if (spec.LongRope is { } rope)
        {
            graph.Note(LongRope, Numbers(rope.OriginalContext, spec.ContextLength));
        }
    }

    /// <summary>The layout of heads; null without a note.</summary>
    public static HeadLayout? HeadsOf(ModelProto model) => Read(model, Heads) is [var size, var padded, var rotary] && new HeadLayout(size, padded, rotary) is { IsValid: true } heads ? heads : null;

    /// <summary>The graph's second kind of rotary positions; null if it has one kind.</summary>
    public static LongPositions? LongPositionsOf(ModelProto model) => Read(model, LongRope) is [var longest, var first] ? new(longest, first) : null;

    /// <summary>The note of a second kind of rotary positions.</summary>
    public static StringStringEntryProto Of(LongPositions positions) => new() { Key = LongRope, Value = Numbers(positions.LongestShort, positions.First) };

    private static string Numbers(params int[] numbers) => string.Join(' ', numbers.Select(number => number.ToString(CultureInfo.InvariantCulture)));

    private static int[] Read(ModelProto model, string note)
    {
        string[] words = model.MetadataProps.FirstOrDefault(entry => entry.Key == note)?.Value.Split(' ') ?? [];
        int[] numbers = [.. words.Select(word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0)];
        return Array.TrueForAll(numbers, number => number > 0) ? numbers : [];
    }
}

/// <summary>The positions of long texts in a graph with two kinds of rotary positions. A text has one kind from its beginning to its end.</summary>
/// <param name="LongestShort">The longest text, in tokens, with the usual positions.</param>
/// <param name="First">The position of a long text's first token.</param>
internal readonly record struct LongPositions(int LongestShort, int First);
