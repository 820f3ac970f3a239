using System.Text.Json.Nodes;
using Google.Protobuf;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;

namespace ProxyTune.Testing.Foreign;

/// <summary>A model folder in another tool's layout, with the weights of a <see cref="TinyModel"/> of the same options.</summary>
public sealed class ForeignModel : IDisposable
{
    private ForeignModel(string folder) => Folder = folder;

    /// <summary>Folder in genai's format, without model.safetensors.</summary>
    public string Folder { get; }

    public static ForeignModel Create(ForeignKind kind, TinyModelOptions? options = null)
    {
        string folder = Directory.CreateTempSubdirectory("foreign-").FullName;
        Write(folder, kind, options);
        return new ForeignModel(folder);
    }

    public static void Write(string folder, ForeignKind kind, TinyModelOptions? options = null)
    {
        TinyModel.WriteCheckpoint(folder, options);
        DecoderSpec config = DecoderSpec.Read(folder);
        string graphFile = kind == ForeignKind.ExternalFiles ? "decoder_model.onnx" : "model.onnx";
        using (ForeignWeights weights = new(folder, external: kind == ForeignKind.ExternalFiles))
        {
            File.WriteAllBytes(Path.Combine(folder, graphFile), new ForeignGraph(kind, config, weights).Build().ToByteArray());
        }

        GenAiLayout.WriteConfig(folder, graphFile, config, config.HeadSize);
        Amend(Path.Combine(folder, "genai_config.json"), kind);
        File.Delete(Path.Combine(folder, "model.safetensors"));
        File.Delete(Path.Combine(folder, "config.json"));
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static void Amend(string path, ForeignKind kind)
    {
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        JsonNode decoder = json["model"]!["decoder"]!;
        if (kind is ForeignKind.PositionIds or ForeignKind.PlainAttention)
        {
            decoder["inputs"]!["position_ids"] = "position_ids";
        }

        if (kind == ForeignKind.ExternalFiles)
        {
            decoder["inputs"]!["past_key_names"] = "past_keys_%d";
            decoder["inputs"]!["past_value_names"] = "past_values_%d";
            decoder["outputs"]!["present_key_names"] = "present_keys_%d";
            decoder["outputs"]!["present_value_names"] = "present_values_%d";
        }

        json["search"]!["past_present_share_buffer"] = kind != ForeignKind.PlainAttention;
        File.WriteAllText(path, json.ToJsonString());
    }
}
