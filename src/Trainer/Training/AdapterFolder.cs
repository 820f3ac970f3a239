using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Trainer.Training;

/// <summary>A low-rank update in PEFT's layout: adapter_config.json and adapter_model.safetensors.</summary>
public static class AdapterFolder
{
    /// <param name="baseFolder">The checkpoint that the update was trained on; its tokenizer files are copied.</param>
    public static void Save(string folder, LoraAdapter adapter, string baseFolder)
    {
        Directory.CreateDirectory(folder);
        ModelFolder.CopyTokenizer(baseFolder, folder);
        JsonObject config = new()
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = baseFolder,
            ["r"] = adapter.Settings.Rank,
            ["lora_alpha"] = adapter.Settings.Alpha,
            ["lora_dropout"] = 0.0,
            ["target_modules"] = new JsonArray([.. adapter.Settings.ChosenTargets.Select(target => (JsonNode)target)]),
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
        };
        File.WriteAllText(Path.Combine(folder, FileNames.AdapterConfig), config.ToJsonString(JsonFile.Indented) + "\n");
        ModelFolder.Write(Path.Combine(folder, FileNames.AdapterWeights), adapter.Parameters);
    }

    /// <summary>Copies the update and its manifest as a patch to serve. The name of a model folder replaces the path of the base, which is valid on this machine only.</summary>
    /// <param name="baseName">The name of the base's model folder.</param>
    /// <param name="scores">The patch's scores; null keeps those of the manifest.</param>
    public static void Publish(string from, string to, string baseName, IReadOnlyList<PatchScore>? scores = null)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(from, FileNames.AdapterConfig)))!;
        config["base_model_name_or_path"] = baseName;
        Directory.CreateDirectory(to);
        File.WriteAllText(Path.Combine(to, FileNames.AdapterConfig), config.ToJsonString(JsonFile.Indented) + "\n");
        File.Copy(Path.Combine(from, FileNames.AdapterWeights), Path.Combine(to, FileNames.AdapterWeights), overwrite: true);
        if (PatchManifest.TryRead(from) is { } manifest)
        {
            (manifest with { Base = (manifest.Base ?? new()) with { Name = baseName }, Scores = scores ?? manifest.Scores }).Write(to);
        }
    }
}
