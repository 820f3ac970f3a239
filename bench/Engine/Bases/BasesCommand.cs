using System.CommandLine;
using System.Diagnostics;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Bases;

/// <summary>Measures the steps of a base beside another busy base.</summary>
internal static class BasesCommand
{
    private const int PromptTokens = 32;

    private static readonly int[] Streams = [1, 8];

    // Wider than the demo's, so that a pass reads more than the processor's cache holds.
    private static readonly Widening Wide = new(Hidden: 8, Intermediate: 4);

    public static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = "To see that all of it works; the figures are rough." };
        Command command = new("bases", "Measures the step time of a base beside another busy base, against alone.") { quick };
        command.SetAction(async (arguments, _) =>
        {
            int rounds = arguments.GetValue(quick) ? 3 : 15;
            Report report = new();
            Machine.Describe(report, "dotnet run --project bench/Engine -c Release -- bases", "`town-base-1` beside `town-base` of the demo; two copies of `town-base`, 8 times as wide");
            List<string[]> table = [];
            table.AddRange(await MeasureAsync(Repository.Models, "town-base-1", "town-base", "demo", rounds, 192));
            DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-bases-");
            try
            {
                WidenedModel.Write(Path.Combine(Repository.Models, "town-base"), Path.Combine(folder.FullName, "one"), Wide);
                WidenedModel.Write(Path.Combine(Repository.Models, "town-base"), Path.Combine(folder.FullName, "other"), Wide);

                table.AddRange(await MeasureAsync(folder.FullName, "one", "other", "wide", rounds, 48));
            }
            finally
            {
                folder.Delete(recursive: true);
            }

            report.Table(
                "Steps of a base, milliseconds",
                ["streams of each base", "alone", "beside the other, busy", "ratio"],
                [.. table]);
        });
        return command;
    }

    private static async Task<string[][]> MeasureAsync(string folder, string measured, string busy, string label, int rounds, int tokens)
    {
        using ModelHost host = ModelHost.Load(folder, new EngineOptions());
        await using DecodeScheduler scheduler = new(host.Ensemble, new());
        List<string[]> rows = [];
        foreach (int streams in Streams)
        {
            Samples[] steps = await Samples.InterleaveAsync(rounds, () => StepAsync(streams), () => BesideAsync(streams));
            rows.Add([$"{label}, {streams}", steps[0].Times(1e3).Show("0.00"), steps[1].Times(1e3).Show("0.00"), steps[1].Over(steps[0]).Show("0.00")]);
        }

        return [.. rows];

        async Task<double> StepAsync(int streams)
        {
            GenerationStream[] all = [.. Enumerable.Range(0, streams).Select(i => Submit(measured, i))];
            await Task.WhenAll(all.Select(one => one.Tokens.ReadAsync().AsTask()));
            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(all.Select(Throughput.DrainAsync));
            return Stopwatch.GetElapsedTime(start).TotalSeconds / (tokens - 1);
        }

        async Task<double> BesideAsync(int streams)
        {
            using CancellationTokenSource stop = new();
            Task others = Task.WhenAll(Enumerable.Range(0, streams).Select(i => Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    await Throughput.DrainAsync(Submit(busy, i));
                }
            })));
            await Task.Delay(20);
            double step = await StepAsync(streams);
            await stop.CancelAsync();
            await others;
            return step;
        }

        GenerationStream Submit(string served, int variant) => scheduler.Submit(new GenerationRequest
        {
            Prompt = host.Get(served).Plan(AskedFusion.Nothing).Render(Prompt(variant)),
            Sampling = new SamplingOptions { Temperature = 0.8f, TopP = 0.95f, Seed = (ulong)variant },
            MaxTokens = tokens,
            IgnoreEndOfText = true,
        });

        int[] Prompt(int variant)
        {
            Random random = new(variant);
            return [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(100, 1000))];
        }
    }
}
