using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>A stream that will really run.</summary>
internal readonly record struct PlannedStream(ILanguageModel Model, ReadOnlyMemory<int> Tokens, float Weight)
{
    /// <summary>Merges streams that are the same model with the same prompt and drops those whose weights cancel.</summary>
    /// <exception cref="ArgumentException">Plan and prompt differ in their number of streams.</exception>
    /// <exception cref="EngineException">InvalidValue when nothing is left.</exception>
    public static List<PlannedStream> Of(Prompt prompt)
    {
        IReadOnlyList<FusionStream> planned = prompt.Plan.Streams;
        if (planned.Count != prompt.Streams.Count)
        {
            throw new ArgumentException($"{planned.Count} streams are planned but {prompt.Streams.Count} prompts given.", nameof(prompt));
        }

        List<PlannedStream> streams = [];
        for (int i = 0; i < planned.Count; i++)
        {
            PlannedStream stream = new(planned[i].Model, prompt.Streams[i], planned[i].Weight);
            int twin = streams.FindIndex(s => ReferenceEquals(s.Model, stream.Model) && s.Tokens.Span.SequenceEqual(stream.Tokens.Span));
            if (twin < 0)
            {
                streams.Add(stream);
            }
            else
            {
                streams[twin] = stream with { Weight = streams[twin].Weight + stream.Weight };
            }
        }

        streams.RemoveAll(s => s.Weight == 0);
        return streams.Count > 0
            ? streams
            : throw new EngineException(EngineError.InvalidValue, "All weights are 0, so no model would run.", "fusion");
    }
}
