using System.Diagnostics;
using ProxyTune.Gateway.Experts;
using Xunit.Abstractions;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Kills a process that changes a store at random points, and checks the store.</summary>
public sealed class StoreKillTests(ITestOutputHelper output)
{
    private const int Chains = 4, Kills = 200, MaxOperations = 4;

    // The kill follows within about one more operation. Some processes are killed while they open the store.
    private static readonly TimeSpan LongestRest = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task Store_KilledAtRandomPoints_HoldsTheOldOrTheNewState()
    {
        int[] operations = await Task.WhenAll(Enumerable.Range(0, Chains).Select(chain => Task.Run(() => KillRepeatedlyAsync(chain))));
        output.WriteLine($"{Kills} kills, {operations.Sum()} operations");
        Assert.True(operations.Sum() > Kills / 2, $"{operations.Sum()} operations in {Kills} killed processes are too few for this test.");
    }

    private static async Task<int> KillRepeatedlyAsync(int chain)
    {
        using StoreFolder folder = new();
        string weights = Path.Combine(Path.GetDirectoryName(folder.Path)!, "adapter_model.safetensors");
        File.WriteAllBytes(weights, StoreFolder.Patch["adapter_model.safetensors"]);
        Random random = new(chain);
        State state = new(new Dictionary<string, string>(), 0, 0);
        int operations = 0;
        for (int life = 0; life < Kills / Chains; life++)
        {
            string[] lines = await LiveAndDieAsync(folder.Path, weights, (chain * Kills) + life, random);
            State? next = null;
            foreach (string line in lines.Where(line => line != StoreWriter.Ready))
            {
                string[] words = line.Split(' ');
                next = words[0] == StoreWriter.Begin ? state.After(words[1..]) : null;
                state = words[0] == StoreWriter.Done ? state.After(words[1..]) : state;
                operations += words[0] == StoreWriter.Done ? 1 : 0;
            }

            state = Check(folder, state, next);
        }

        return operations;
    }

    private static async Task<string[]> LiveAndDieAsync(string folder, string weights, int seed, Random random)
    {
        using Process process = new()
        {
            StartInfo = new(TestProgram.Child.File, [.. TestProgram.Child.Arguments, StoreWriter.Command, folder, weights, $"{seed}"]) { RedirectStandardOutput = true },
        };
        process.Start();
        List<string> lines = [];
        for (int left = 2 * random.Next(MaxOperations); left > 0; left--)
        {
            lines.Add(await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The process ended by itself."));
        }

        await Task.Delay(LongestRest * random.NextDouble());
        process.Kill();
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            lines.Add(line);
        }

        await process.WaitForExitAsync();
        return [.. lines];
    }

    /// <returns>The state that the store holds.</returns>
    private static State Check(StoreFolder folder, State acknowledged, State? begun)
    {
        using ExpertStore store = folder.Open();
        State found = new(store.Experts.ToDictionary(expert => expert.Id, expert => expert.Content), store.Registry.Ports.Count, acknowledged.Blob);
        Assert.True(found.Equals(acknowledged) || (begun is not null && found.Equals(begun with { Blob = acknowledged.Blob })), $"The store holds {found}. The acknowledged state is {acknowledged}, the begun one is {begun}.");
        Assert.All(store.Experts, store.Verify);
        Assert.All(store.Registry.Ports.Select((port, i) => (port, i)), port => Assert.Equal($"{port.i + 1}", port.port.Reason));

        // Bytes of a blob that were received before the end count, even without a response to the client.
        long blob = store.BlobOffset(StoreWriter.Blob) ?? 0;
        Assert.InRange(blob, acknowledged.Blob, begun?.Blob ?? acknowledged.Blob);
        string[] left = [.. folder.Contents.Keys.Select(file => file.Split('/')).Select(parts => parts[0] == "content" ? parts[1] : parts[0]).Distinct()];
        Assert.Equal(
            store.Experts.Select(expert => expert.Content).Concat(folder.Contents.ContainsKey("registry.json") ? ["registry.json"] : []).Concat(store.BlobOffset(StoreWriter.Blob) is null ? [] : ["staging"]).Distinct().Order(StringComparer.Ordinal),
            left.Order(StringComparer.Ordinal));
        Assert.Equal(store.Experts.DistinctBy(expert => expert.Content).Sum(expert => expert.Bytes) + blob, store.Bytes);
        return found with { Blob = blob };
    }

    /// <summary>Expected contents of a store: contents by id, marks, and bytes of the blob.</summary>
    private sealed record State(Dictionary<string, string> Experts, int Marks, long Blob)
    {
        private static readonly Lazy<string[]> Contents = new(() => [.. Enumerable.Range(0, StoreWriter.Numbers).Select(ContentOf)]);

        public State After(string[] operation) => operation[0] switch
        {
            "add" => this with { Experts = new Dictionary<string, string>(Experts) { [operation[1]] = Contents.Value[int.Parse(operation[2], System.Globalization.CultureInfo.InvariantCulture)] } },
            "remove" => this with { Experts = Experts.Where(expert => expert.Key != operation[1]).ToDictionary() },
            "mark" => this with { Marks = Marks + 1 },
            _ => this with { Blob = Blob + 1000 },
        };

        public bool Equals(State? other) => other is not null && other.Marks == Marks && other.Blob == Blob && other.Experts.Count == Experts.Count && Experts.All(expert => other.Experts.GetValueOrDefault(expert.Key) == expert.Value);

        public override int GetHashCode() => Marks;

        public override string ToString() => $"{string.Join(", ", Experts.Select(expert => $"{expert.Key}={expert.Value[..6]}"))}, {Marks} marks, {Blob} bytes";

        private static string ContentOf(int number)
        {
            using StoreFolder folder = new();
            using ExpertStore store = folder.Open();
            return StoreFolder.AddAsync(store, "a", StoreFolder.PatchNumber(number)).GetAwaiter().GetResult().Content;
        }
    }
}
