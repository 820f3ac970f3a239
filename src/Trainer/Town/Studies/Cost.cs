using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Town;

/// <summary>The memory and time of an operation in a separate process.</summary>
/// <param name="Bytes">The peak of resident memory minus the resident memory before the operation.</param>
/// <param name="Seconds">Processor time, summed over all threads.</param>
internal sealed record Cost(long Bytes, double Seconds);

/// <summary>The costs of porting a patch and of training it again. Each is measured in a child process.</summary>
/// <param name="Retraining">From the files on disk to the patch on disk, on one thread. TorchSharp is loaded before the measurement.</param>
/// <param name="Porting">From the files on disk to the first patched row. The base computes a row without the patch before the measurement.</param>
internal sealed record Costs(Cost Retraining, Cost Porting)
{
    public const string Command = "portability-cost";

    private const string Port = "port";
    private const string Retrain = "retrain";
    private static readonly int[] PromptTokens = [.. Enumerable.Range(1, 16)];

    public static Costs Measure(string work, string origin) => new(InChild(Retrain, work, origin), InChild(Port, work, origin));

    /// <summary>Runs in the child process: measures one operation and writes its cost as JSON.</summary>
    public static void Run(string what, string work, string origin, string output)
    {
        PortabilityPlan plan = new(work, origin);
        Cost cost = what switch
        {
            Port => PortingOf(plan.Base(1), plan.In(PortabilityPlan.PatchName("qa", PatchProfile.All, 0, 1)), origin),
            Retrain => RetrainingOf(plan),
            _ => throw new TrainingException($"what is '{what}'; accepted is {Port} or {Retrain}."),
        };
        File.WriteAllText(output, JsonSerializer.Serialize(cost, Quality.Json));
    }

    private static Cost PortingOf(string checkpoint, string patch, string origin)
    {
        string folder = Directory.CreateTempSubdirectory("portability-").FullName;
        try
        {
            Export.Run(checkpoint, null, folder);
            using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new());
            using Tokenizer tokenizer = Tokenizer.Load(folder);
            using Tokenizer trainedWith = Tokenizer.Load(origin);
            Row(model, null);
            return Of(() =>
            {
                _ = Lineage.Of(folder);
                _ = trainedWith.SameVocabulary(tokenizer);
                LowRankPatch read = LowRankPatch.Read(patch);
                _ = UpdateDiagnostics.Of(read, folder, origin);
                Row(model, new PatchSum([new WeightedPatch(read, 1)]));
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Row(OnnxLanguageModel model, PatchSum? patch)
    {
        using Sequence sequence = model.Start(Prompt.For(model, PromptTokens, patch));
        model.Forward([new Segment(sequence, default)]);
    }

    private static Cost RetrainingOf(PortabilityPlan plan)
    {
        string folder = Directory.CreateTempSubdirectory("portability-").FullName;
        try
        {
            using Tensor weight = ones(64, 64, requires_grad: true);
            weight.matmul(weight).sum().backward();
            return Of(() => Sft.Run(plan.Patch("qa", PatchProfile.All, 1, 1) with { Output = Path.Combine(folder, "out"), Threads = 1 }, CancellationToken.None));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Cost Of(Action action)
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        File.WriteAllText("/proc/self/clear_refs", "5"); // On Linux this resets the peak.
        (long before, TimeSpan busy) = (Status("VmRSS"), Process.GetCurrentProcess().TotalProcessorTime);
        action();
        return new(Status("VmHWM") - before, (Process.GetCurrentProcess().TotalProcessorTime - busy).TotalSeconds);
    }

    private static long Status(string field)
    {
        string[] words = File.ReadLines("/proc/self/status").Single(line => line.StartsWith(field + ":", StringComparison.Ordinal)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return long.Parse(words[1], CultureInfo.InvariantCulture) << 10;
    }

    private static Cost InChild(string what, string work, string origin)
    {
        string output = Path.Combine(work, $"cost-{what}.json");
        string[] arguments = [typeof(Costs).Assembly.Location, Command, what, "--work", work, "--base", origin, "--output", output];
        using Process child = Process.Start("dotnet", arguments);
        child.WaitForExit();
        return child.ExitCode == 0
            ? JsonSerializer.Deserialize<Cost>(File.ReadAllText(output), Quality.Json)!
            : throw new TrainingException($"dotnet {string.Join(' ', arguments)} ended with {child.ExitCode}.");
    }
}
