using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Decoding.Onnx;

namespace ProxyTune.Trainer.Training;

/// <summary>A low-rank update in PEFT's layout: adapter_config.json and adapter_model.safetensors.</summary>
public static class AdapterFolder
{
    private const string ConfigFile = "adapter_config.json";
    private const string WeightsFile = "adapter_model.safetensors";

    /// <param name="baseFolder">The checkpoint that the update was trained on; its tokenizer files are copied.</param>
    public static void Save(string folder, LoraAdapter adapter, string baseFolder)
    {
        Directory.CreateDirectory(folder);
        ModelFolder.CopyTokenizer(baseFolder, folder);
        var config = new JsonObject
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
        File.WriteAllText(Path.Combine(folder, ConfigFile), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        ModelFolder.Write(Path.Combine(folder, WeightsFile), adapter.Parameters);
    }

    /// <param name="config">Of the model that the update is for.</param>
    /// <exception cref="TrainingException">A file is broken, or the update does not fit the model.</exception>
    public static LoraAdapter Load(string folder, LlamaConfig config)
    {
        var path = Path.Combine(folder, ConfigFile);
        LoraSettings settings;
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path))!;
            settings = new LoraSettings((int)json["r"]!, (double)json["lora_alpha"]!, [.. json["target_modules"]!.AsArray().Select(target => (string)target!)]);
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException or NullReferenceException or FormatException)
        {
            throw new TrainingException($"{path}: r, lora_alpha and a list target_modules are needed. {error.Message}", error);
        }

        settings.Check(new(path));
        using var file = SafetensorsFile.Open(Path.Combine(folder, WeightsFile));
        var adapter = new LoraAdapter(config, settings, seed: 0);
        ModelFolder.Read(file, adapter.Parameters);
        return adapter;
    }
}
