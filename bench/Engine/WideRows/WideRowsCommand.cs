using System.CommandLine;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Bench.WideRows;

/// <summary>What fusing and drawing the rows of a step costs, on one thread and on all.</summary>
internal static class WideRowsCommand
{
    private const int LargeVocabulary = 152_000, Vocabulary = 32_000, SmallVocabulary = 1_776;

    public static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = "To see that all of it works; the figures are rough." };
        Command command = new("rows", "Measures fusing and drawing the rows of a step, forward passes excluded, on one thread and on all.") { quick };
        command.SetAction(async (arguments, _) =>
        {
            Report report = new();
            Machine.Describe(report, "dotnet run --project bench/Engine -c Release -- rows", "models without passes, which hand out rows of random logits");
            SamplingOptions greedy = new() { Temperature = 0 }, sampled = new() { Temperature = 0.8f, TopP = 0.95f };
            (string Name, int Width, int Streams, bool IsDynamic, SamplingOptions Sampling)[] cases =
            [
                ("16 streams, dynamic, sampled, 152000 words", LargeVocabulary, 16, true, sampled),
                ("16 streams, dynamic, greedy, 152000 words", LargeVocabulary, 16, true, greedy),
                ("16 streams, weighted sum, sampled, 152000 words", LargeVocabulary, 16, false, sampled),
                ("16 streams, weighted sum, greedy, 32000 words", Vocabulary, 16, false, greedy),
                ("2 streams, weighted sum, greedy, 32000 words", Vocabulary, 2, false, greedy),
                ("16 streams, weighted sum, greedy, 1776 words", SmallVocabulary, 16, false, greedy),
            ];
            List<string[]> table = [];
            foreach ((string name, int width, int streams, bool isDynamic, SamplingOptions sampling) in cases)
            {
                using WideSteps wide = new(width);
                int steps = arguments.GetValue(quick) ? 8 : Math.Clamp(4_000_000 / width, 32, 500);
                Samples[] milliseconds = await Samples.InterleaveAsync(
                    arguments.GetValue(quick) ? 3 : 9,
                    wide.Timing(streams, steps, isDynamic, sampling, new() { Workers = 1 }),
                    wide.Timing(streams, steps, isDynamic, sampling, new()));
                table.Add([name, milliseconds[0].Show("0.000"), milliseconds[1].Show("0.000"), milliseconds[0].Over(milliseconds[1]).Show("0.00")]);
            }

            report.Table($"A step's rows, milliseconds, on 1 thread and on {Environment.ProcessorCount}", ["step", "one thread", "all threads", "times faster"], [.. table]);
        });
        return command;
    }
}
