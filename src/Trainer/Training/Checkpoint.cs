using System.Globalization;
using System.Text.Json.Nodes;
using ProxyTune.Trainer.Settings;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>
/// The state from which a run continues exactly: weights, both moments, finished steps, and the position in the data. Each checkpoint has a folder,
/// <c>checkpoints/step-NNNNNNNN</c>. It is written under another name and then renamed, so that a folder of that name is always complete.
/// </summary>
/// <remarks>It holds no state of a random generator: after the start, every random choice is a function of seed and step.</remarks>
internal static class Checkpoint
{
    private const string Partial = ".partial";

    public static string Folder(string output) => Path.Combine(output, "checkpoints");

    public static void Save(string output, long step, IReadOnlyList<(string Name, Tensor Values)> tensors, JsonObject state)
    {
        string root = Folder(output);
        string final = Path.Combine(root, "step-" + step.ToString("D8", CultureInfo.InvariantCulture));
        string partial = final + Partial;
        if (Directory.Exists(final))
        {
            return;
        }

        Directory.CreateDirectory(partial);
        foreach ((string? name, Tensor? values) in tensors)
        {
            Write(partial, name, values);
        }

        File.WriteAllText(Path.Combine(partial, "state.json"), state.ToJsonString());
        Directory.Move(partial, final);
        foreach (string? older in Directory.GetDirectories(root).Where(folder => folder != final))
        {
            Directory.Delete(older, recursive: true);
        }
    }

    /// <summary>Restores the tensors from the newest checkpoint and returns its state; null if there is no checkpoint.</summary>
    public static JsonObject? Restore(string output, IReadOnlyList<(string Name, Tensor Values)> tensors)
    {
        string root = Folder(output);
        string? newest = Directory.Exists(root)
            ? Directory.GetDirectories(root, "step-*").Where(folder => !folder.EndsWith(Partial, StringComparison.Ordinal)).Max(StringComparer.Ordinal)
            : null;
        if (newest is null)
        {
            return null;
        }

        foreach ((string? name, Tensor? values) in tensors)
        {
            Read(newest, name, values);
        }

        return JsonNode.Parse(File.ReadAllText(Path.Combine(newest, "state.json")))!.AsObject();
    }

    private static void Write(string folder, string name, Tensor tensor)
    {
        using FileStream file = File.Create(Path.Combine(folder, name + ".bin"));
        file.Write(tensor.bytes);
        file.Flush(flushToDisk: true);
    }

    private static void Read(string folder, string name, Tensor tensor)
    {
        string path = Path.Combine(folder, name + ".bin");
        using FileStream file = File.OpenRead(path);
        if (file.Length != tensor.bytes.Length)
        {
            throw new TrainingException($"{path}: {file.Length} bytes; this model needs {tensor.bytes.Length}. Remove the folder to start again.");
        }

        file.ReadExactly(tensor.bytes);
    }
}
