using System.Globalization;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>A process that changes a store until it is killed, and prints each operation before and after it.</summary>
internal static class StoreWriter
{
    public const string Command = "store-writer", Ready = "ready", Begin = "begin", Done = "done";
    public const int Ids = 4, Numbers = 6;
    public static readonly string Blob = new('b', 64);

    /// <param name="weights">File with the weights of a patch. The process runs for a short time, and making a patch would take most of it.</param>
    public static async Task RunAsync(string folder, string weights, int seed)
    {
        Random random = new(seed);
        Dictionary<string, byte[]> patch = new() { [Path.GetFileName(weights)] = File.ReadAllBytes(weights) };
        Dictionary<string, byte[]>[] patches = [.. Enumerable.Range(0, Numbers).Select(number => StoreFolder.PatchNumber(patch, number))];
        using ExpertStore store = ExpertStore.Open(folder);
        Say(Ready);
        for (int step = 0; ; step++)
        {
            string operation = Choose(store, random, step);
            Say($"{Begin} {operation}");
            await ApplyAsync(store, operation.Split(' '), patches);
            Say($"{Done} {operation}");
        }
    }

    private static string Choose(ExpertStore store, Random random, int step)
    {
        string id = $"p{random.Next(Ids)}";
        return random.Next(8) switch
        {
            0 => $"append {store.BlobOffset(Blob) ?? 0}",
            1 or 2 => $"mark {store.Registry.Ports.Count + 1}",
            _ when store.Find(id) is not null => $"remove {id}",
            _ => $"add {id} {random.Next(Numbers)}",
        };
    }

    private static async Task ApplyAsync(ExpertStore store, string[] operation, Dictionary<string, byte[]>[] patches)
    {
        switch (operation[0])
        {
            case "add":
                await StoreFolder.AddAsync(store, operation[1], patches[Number(operation[2])]);
                break;
            case "remove":
                store.Remove(operation[1]);
                break;
            case "mark":
                store.Update(file => file with { Ports = [.. file.Ports, new PortRecord("p", "b", "w", PatchState.Ported, operation[1], DateTimeOffset.UnixEpoch)] });
                break;
            default:
                await store.AppendBlobAsync(Blob, Number(operation[1]), 1 << 30, new MemoryStream(new byte[1000]));
                break;
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }
}
