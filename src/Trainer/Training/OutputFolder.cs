using System.Text.Json.Nodes;
using ProxyTune.Trainer.Reporting;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Training;

/// <summary>A run's folder. training.json holds the run's settings, and <c>finished</c> tells whether the run is complete.</summary>
internal static class OutputFolder
{
    private const string File = "training.json";

    /// <returns>False if the folder already holds the result of these settings.</returns>
    /// <exception cref="TrainingException">The folder belongs to other settings.</exception>
    public static bool Open(string folder, string recipe, JsonNode settings)
    {
        string path = Path.Combine(folder, File);
        if (!System.IO.File.Exists(path))
        {
            Directory.CreateDirectory(folder);
            Write(path, new JsonObject { ["recipe"] = recipe, ["finished"] = false, ["settings"] = settings });
            return true;
        }

        JsonNode before = JsonNode.Parse(System.IO.File.ReadAllText(path))!;
        if ((string?)before["recipe"] != recipe || !JsonNode.DeepEquals(before["settings"], settings))
        {
            throw new TrainingException($"output is '{folder}', which belongs to a run with other settings ({path}); accepted is a new folder. Remove that one to train again.");
        }

        if ((bool)before["finished"]!)
        {
            Console.WriteLine($"{folder}: finished before, nothing to do.");
            return false;
        }

        return true;
    }

    /// <summary>Saves the result, marks the folder as finished and deletes the checkpoints.</summary>
    public static void Finish(string folder, Action save)
    {
        save();
        LossCurve.Draw(folder);
        string path = Path.Combine(folder, File);
        JsonNode node = JsonNode.Parse(System.IO.File.ReadAllText(path))!;
        node["finished"] = true;
        Write(path, node);
        if (Directory.Exists(Checkpoint.Folder(folder)))
        {
            Directory.Delete(Checkpoint.Folder(folder), recursive: true);
        }
    }

    private static void Write(string path, JsonNode node)
    {
        System.IO.File.WriteAllText(path + ".partial", node.ToJsonString(SettingsFile.Json) + "\n");
        System.IO.File.Move(path + ".partial", path, overwrite: true);
    }
}
