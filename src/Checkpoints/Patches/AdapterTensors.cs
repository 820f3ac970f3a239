using System.Text.RegularExpressions;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// The names of the tensors in PEFT's adapter_model.safetensors: A [rank, in] and B [out, rank] for each changed module. Older tools leave the name of the
/// adapter in each tensor's name, such as <c>lora_A.default.weight</c>.
/// </summary>
internal static partial class AdapterTensors
{
    private const string Prefix = "base_model.model.";

    /// <param name="module">A module such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public static string A(string module) => $"{Prefix}{module}.lora_A.weight";

    public static string B(string module) => $"{Prefix}{module}.lora_B.weight";

    public static bool IsA(string name) => Name().Match(name) is { Success: true } match && match.Groups["side"].ValueSpan is "A";

    /// <summary>The module of an A or a B tensor; null for other names.</summary>
    public static string? ModuleOf(string name) => Name().Match(name) is { Success: true } match ? match.Groups["module"].Value : null;

    /// <summary>The name without the adapter's name, as <see cref="A"/> and <see cref="B"/> write it; null for other names.</summary>
    public static string? Plain(string name) => ModuleOf(name) is not { } module ? null : IsA(name) ? A(module) : B(module);

    [GeneratedRegex(@"^base_model\.model\.(?<module>.+?)\.lora_(?<side>[AB])(\.[^.]+)?\.weight\z")]
    private static partial Regex Name();
}
