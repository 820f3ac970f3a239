namespace ProxyTune.Trainer.Recipes;

/// <summary>A frozen model of the fused sum that an expert is tuned for.</summary>
/// <param name="Role">The name of the settings' field for its folder.</param>
/// <param name="Folder">The checkpoint folder.</param>
/// <param name="Template">The template of conversations for the model.</param>
/// <param name="Weight">The factor in the sum.</param>
internal sealed record FrozenMember(string Role, string Folder, string Template, double Weight)
{
    /// <summary>Adds up the weights of equal models and removes models with weight 0. The sum stays the same.</summary>
    public static FrozenMember[] Simplify(IEnumerable<FrozenMember> sum) =>
        [.. sum.GroupBy(m => (m.Folder, m.Template)).Select(same => same.First() with { Weight = same.Sum(m => m.Weight) }).Where(m => m.Weight != 0)];
}
