using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>Runs a decoder over one prompt with an empty past. It uses no cache, so the session can run sequences at the same time.</summary>
internal static class ProbeRun
{
    /// <param name="more">The variant's additional inputs. They are disposed after the run.</param>
    /// <returns>The logits of the last position.</returns>
    public static float[] LastRow(DecoderSession session, IReadOnlyList<int> tokens, IReadOnlyDictionary<string, OrtValue> more)
    {
        try
        {
            return Run(session, tokens, more);
        }
        finally
        {
            // The inputs pin managed memory, so they are disposed only after the run.
            foreach (OrtValue value in more.Values)
            {
                value.Dispose();
            }
        }
    }

    private static float[] Run(DecoderSession session, IReadOnlyList<int> tokens, IReadOnlyDictionary<string, OrtValue> more)
    {
        using OrtIoBinding binding = session.Session.CreateIoBinding();
        using RowMemory memory = new(session);
        using DecoderLogits logits = new(session, binding, memory);
        using RunOptions options = new();
        using NativeTensor ids = Integers(session, session.Config.InputIds, tokens), positions = Integers(session, session.Config.PositionIds, [.. Enumerable.Range(0, tokens.Count)]), mask = Integers(session, session.Config.AttentionMask, [.. tokens.Select(_ => 1)]), past = new(session.Cache.Type);
        Bind(session.Config.InputIds, ids, 1, tokens.Count);
        Bind(session.Config.PositionIds, positions, 1, tokens.Count);
        Bind(session.Config.AttentionMask, mask, 1, tokens.Count);
        CacheShape cache = session.Cache;
        int width = cache.FixedWidth ?? 0;
        past.Reserve(Math.Max(1, (long)cache.Heads * width * cache.HeadSize));
        foreach (CacheName name in session.CacheNames)
        {
            Bind(name.Past, past, 1, cache.Heads, width, cache.HeadSize);
        }

        foreach ((string name, OrtValue value) in more)
        {
            binding.BindInput(name, value);
        }

        DecoderRows rows = memory.Begin(1, tokens.Count);
        bool isOneRow = session.ChoosesRows || session.GivesLastRowOnly;
        if (session.ChoosesRows)
        {
            logits.Choose(1)[0] = tokens.Count - 1;
        }
        else
        {
            logits.TakeAll(1, isOneRow ? 1 : tokens.Count);
        }

        session.Session.RunWithBinding(options, binding);
        logits.SetRow(0, isOneRow ? 0 : tokens.Count - 1);
        return rows.Row(0).ToArray();

        void Bind(string name, NativeTensor tensor, params long[] shape)
        {
            if (session.Has(name))
            {
                using OrtValue view = tensor.View(0, shape);
                binding.BindInput(name, view);
            }
        }
    }

    private static NativeTensor Integers(DecoderSession session, string input, IReadOnlyList<int> values)
    {
        NativeTensor tensor = new(session.TypeOf(input));
        tensor.Reserve(values.Count);
        for (int i = 0; i < values.Count; i++)
        {
            tensor.Write(i, values[i]);
        }

        return tensor;
    }
}
