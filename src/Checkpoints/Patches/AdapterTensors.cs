namespace ProxyTune.Checkpoints.Patches;

/// <summary>The names of the tensors in PEFT's adapter_model.safetensors: A [rank, in] and B [out, rank] for each changed module.</summary>
internal static class AdapterTensors
{
    private const string Prefix = "base_model.model.";
    private const string ASuffix = ".lora_A.weight";
    private const string BSuffix = ".lora_B.weight";

    /// <param name="module">A module such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public static string A(string module) => Prefix + module + ASuffix;

    public static string B(string module) => Prefix + module + BSuffix;

    public static bool IsA(string name) => name.EndsWith(ASuffix, StringComparison.Ordinal);

    /// <summary>The module of an A or a B tensor; null for other names.</summary>
    public static string? ModuleOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && (IsA(name) || name.EndsWith(BSuffix, StringComparison.Ordinal)) ? name[Prefix.Length..^ASuffix.Length] : null;
}
