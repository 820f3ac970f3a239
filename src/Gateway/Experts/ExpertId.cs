using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>The ids of uploaded experts.</summary>
internal static partial class ExpertId
{
    public static bool IsValid(string id) => Id().IsMatch(id);

    /// <exception cref="EngineException">InvalidValue.</exception>
    public static void Check(string id)
    {
        if (!IsValid(id))
        {
            throw new EngineException(
                EngineError.InvalidValue, $"id is '{UploadName.Printable(id)}'; accepted are 1 to 64 of the characters a-z 0-9 . _ - that begin with a letter or digit.", "id");
        }
    }

    [GeneratedRegex(@"^[a-z0-9][a-z0-9._-]{0,63}\z")]
    private static partial Regex Id();
}
