namespace ProxyTune.Trainer.Recipes;

/// <summary>A frozen model of the fused sum that an expert is tuned for.</summary>
/// <param name="Role">The settings' name of its folder.</param>
/// <param name="Folder">Its checkpoint.</param>
/// <param name="Template">How it sees a conversation.</param>
/// <param name="Weight">Its factor.</param>
internal sealed record FrozenMember(string Role, string Folder, string Template, double Weight)
{
    /// <summary>The same sum with every model in it once, without those that cancel.</summary>
    public static FrozenMember[] Simplify(IEnumerable<FrozenMember> sum) =>
        [.. sum.GroupBy(m => (m.Folder, m.Template)).Select(same => same.First() with { Weight = same.Sum(m => m.Weight) }).Where(m => m.Weight != 0)];
}
