using ProxyTune.Checkpoints.Export;
using ProxyTune.Decoding.Generation;
using ProxyTune.Measuring;

namespace ProxyTune.Peers;

/// <summary>Measures all comparisons for one precision of the weights.</summary>
internal static class Precision
{
    public static async Task<IReadOnlyList<Comparison>> MeasureAsync(PeerModels models, PeerSettings settings, Report report)
    {
        string precision = models.Bits == CheckpointExporter.FloatBits ? "float32" : $"{models.Bits} bits";
        await PassesAsync(models, settings, report, precision);
        SchedulerOptions plain = new() { MaxDraft = 0 };
        using GenAiModel large = new(Path.Combine(models.Folder, PeerModels.Base)), expert = new(Path.Combine(models.Folder, PeerModels.Expert)),
            antiExpert = new(Path.Combine(models.Folder, PeerModels.AntiExpert));
        List<Comparison> comparisons = [];
        foreach (int streams in settings.Streams)
        {
            string title = $"{precision}, {streams} stream{(streams == 1 ? "" : "s")}";
            comparisons.Add(new($"Base alone, {title}", streams,
            [
                ("this engine", new ThisEngine(models.Folder, PeerModels.Alone, plain)),
                ("onnxruntime-genai, its own loop", new GenAiAlone(large)),
                ("llama.cpp", Llama(streams, PeerModels.Base)),
            ]));
            comparisons.Add(new($"Fused, {title}", streams,
            [
                ("this engine, speculation off", new ThisEngine(models.Folder, PeerModels.Fused, plain)),
                ("this engine, speculation on", new ThisEngine(models.Folder, PeerModels.Fused, new SchedulerOptions())),
                ("onnxruntime-genai, three generators, one after the other", new GenAiFused(large, expert, antiExpert, models.VocabularySize)),
                ("llama.cpp, three contexts", Llama(streams, PeerModels.Base, PeerModels.Expert, PeerModels.AntiExpert)),
            ]));
        }

        await Comparison.MeasureAsync(comparisons, settings, models.VocabularySize);
        foreach (Comparison comparison in comparisons)
        {
            comparison.Show(report);
            foreach ((_, InferenceEngine engine) in comparison.Engines)
            {
                await engine.DisposeAsync();
            }
        }

        return comparisons;

        Llama Llama(int sequences, params string[] names) =>
            new(sequences, [.. names.Select(name => new LlamaModel(models.Gguf(name), sequences, settings.PromptTokens + settings.Tokens))]);
    }

    /// <summary>Reports the cost of bare forward passes, which shows what the model sizes mean on this machine.</summary>
    private static async Task PassesAsync(PeerModels models, PeerSettings settings, Report report, string precision)
    {
        int[] prompt = [.. Enumerable.Range(5, settings.PromptTokens)];
        using BareDecoder large = Decoder(PeerModels.Base), small = Decoder(PeerModels.AntiExpert);
        Samples[] passes = await Samples.InterleaveAsync(settings.Rounds, Timing(large), Timing(small));
        report.Line($"- {precision}: {models.Describe(PeerModels.Base)}; {models.Describe(PeerModels.AntiExpert)}; a bare pass of the base takes {passes[0].Show("0.00")} ms, {passes[0].Over(passes[1]).Show("0.0")} passes of the small model");
        report.Line();

        BareDecoder Decoder(string name) => new(Path.Combine(models.Folder, name), 1, settings.PromptTokens + settings.Tokens);

        Func<Task<double>> Timing(BareDecoder decoder) => () =>
        {
            decoder.Restart();
            decoder.Append(prompt);
            return Task.FromResult(1000 * Enumerable.Range(0, settings.Tokens).Select(_ => decoder.Append(prompt.AsSpan(0, 1))).Average());
        };
    }
}
