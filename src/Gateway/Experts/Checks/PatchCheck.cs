using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Text.Json;
using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks the folder of a patch: all that can be known without its base. Sizes first, then what they hold.</summary>
internal static partial class PatchCheck
{
    private const string Weights = FileNames.AdapterWeights;
    private const int MaxNameLength = 256, MaxPatterns = 1024;

    // Far more than thousands of layers take, and little memory.
    private const long LongestConfig = 1 << 20, LongestHeader = 8 << 20;

    /// <summary>The files of a patch that are read, and kept. PEFT's folders often have the tokenizer of the base beside them.</summary>
    public static bool IsRead(string name) => name is FileNames.AdapterConfig or Weights or FileNames.Manifest;

    /// <exception cref="EngineException">InvalidExpert or InvalidModelFolder, naming file, field or tensor.</exception>
    public static void Check(string folder, ExpertStoreOptions options)
    {
        AtMost(LongestConfig, new FileInfo(Path.Combine(folder, FileNames.AdapterConfig)).Length, FileNames.AdapterConfig, "bytes");
        using (JsonDocument config = JsonCheck.Read(folder, FileNames.AdapterConfig))
        {
            CheckConfig(config.RootElement);
        }

        string path = Path.Combine(folder, Weights);
        CheckSize(path, options);
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                CheckTensor(tensor, options);
            }
        }

        LowRankPatch patch = LowRankPatch.Read(folder);
        foreach (string target in patch.Targets)
        {
            LowRankPair pair = patch.Pair(target)!;
            if (!double.IsFinite(pair.Scale) || !float.IsFinite((float)(pair.Scale * TensorPrimitives.MaxMagnitude<float>(pair.B))))
            {
                throw Wrong($"lora_alpha makes '{target}' overflow: its factor is {pair.Scale:G3}.");
            }
        }

        if (File.Exists(Path.Combine(folder, FileNames.Manifest)))
        {
            JsonCheck.Read(folder, FileNames.Manifest).Dispose();
            PatchManifest.TryRead(folder)?.CheckFits(patch);
        }
    }

    private static void CheckConfig(JsonElement config)
    {
        foreach (string name in (string[])["base_model_name_or_path", "revision"])
        {
            if (config.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
                && (value.ValueKind != JsonValueKind.String || value.GetString() is not { Length: <= MaxNameLength } text || text.Any(char.IsControl)))
            {
                throw Wrong($"{name} is {UploadName.Printable(value.ToString())}; accepted is a text of at most {MaxNameLength} characters.");
            }
        }

        foreach (string name in (string[])["rank_pattern", "alpha_pattern"])
        {
            if (config.TryGetProperty(name, out JsonElement patterns) && patterns.ValueKind == JsonValueKind.Object
                && (patterns.GetPropertyCount() > MaxPatterns || patterns.EnumerateObject().Any(pattern => !Pattern().IsMatch(pattern.Name))))
            {
                // A repetition of a repetition makes an automaton of any size.
                throw Wrong($"{name} has too many expressions, or an expression that is not accepted; accepted are {MaxPatterns} of at most {MaxNameLength} characters, without braces.");
            }
        }
    }

    private static void CheckSize(string path, ExpertStoreOptions options)
    {
        FileInfo file = new(path);
        if (!file.Exists)
        {
            throw UploadName.Refused(Weights, "is missing; a patch has it beside adapter_config.json.");
        }

        if (file.Length > options.MaxPatchBytes)
        {
            throw new EngineException(EngineError.UploadTooLarge, $"'{Weights}' has {file.Length} bytes; accepted are at most {options.MaxPatchBytes} (Experts:MaxPatchBytes).", Weights);
        }

        using FileStream stream = file.OpenRead();
        byte[] header = new byte[sizeof(long)];
        if (stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length && BinaryPrimitives.ReadInt64LittleEndian(header) is var length && length <= file.Length)
        {
            AtMost(LongestHeader, length, Weights, "bytes of header");
        }
    }

    private static void CheckTensor(SafetensorsTensor tensor, ExpertStoreOptions options)
    {
        string shown = UploadName.Printable(tensor.Name), shape = string.Join(", ", tensor.Shape);
        if (!Target().IsMatch(tensor.Name))
        {
            throw UploadName.Refused(Weights, $"has the tensor '{shown}'; accepted are lora_A and lora_B of q, k, v, o, gate, up and down of a decoder's layers, or of qkv and gate_up.");
        }

        if (tensor.DType is not ("F32" or "F16" or "BF16") || tensor.Shape.Count != 2 || tensor.Shape.Min() < 1 || tensor.Shape.Min() > options.MaxRank)
        {
            throw UploadName.Refused(Weights, $"has the tensor '{shown}' of {tensor.DType} [{shape}]; accepted is F32, F16 or BF16 of a rank from 1 to {options.MaxRank} (Experts:MaxRank).");
        }
    }

    private static void AtMost(long max, long value, string name, string what)
    {
        if (value > max)
        {
            throw UploadName.Refused(name, $"has {value} {what}; accepted are at most {max}.");
        }
    }

    private static EngineException Wrong(string what) => UploadName.Refused(FileNames.AdapterConfig, $"is refused: {what}");

    [GeneratedRegex(@"^base_model\.model\.model\.layers\.(0|[1-9][0-9]{0,3})\.(self_attn\.(qkv|[qkvo])|mlp\.(gate_up|gate|up|down))_proj\.lora_[AB]\.weight\z")]
    private static partial Regex Target();

    [GeneratedRegex(@"^[A-Za-z0-9_.|()\[\]^$*+?\\-]{1,256}\z")]
    private static partial Regex Pattern();
}
