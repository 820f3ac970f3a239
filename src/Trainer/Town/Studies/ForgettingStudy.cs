using System.Globalization;
using System.Text.Json.Nodes;
using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// Asks a base that a pair of small models makes forget a person, about the person and about others. A patch of the base answers in each manner,
/// so that the base itself is right about nearly everything; prose is read by the base without a patch.
/// </summary>
internal sealed class ForgettingStudy
{
    private const string ProseName = "prose";

    /// <summary>Most questions of a kind whose right answer's probability is measured, and most documents.</summary>
    private const int MaxScored = 100;

    /// <summary>Documents from here on belong to no model's pre-training.</summary>
    private const long FirstDocument = 500_000_000;

    /// <summary>The paper's strength.</summary>
    private const double UsualAlpha = 1.5;

    private static readonly double[] Alphas = [0, 0.5, 1, UsualAlpha, 2, 3];
    private static readonly int[] Ranks = [1, 5, 20];

    /// <summary>Every setting that is examined: the linear form at each strength, the ban alone, and both with special tokens of the base.</summary>
    private static readonly (string Name, AskedFusion Fusion)[] Settings =
    [
        .. Alphas.Select(alpha => (alpha == 0 ? "base (a = 0)" : string.Create(CultureInfo.InvariantCulture, $"a = {alpha}"), Linear(alpha))),
        .. Ranks.Select(rank => ($"rank, k = {rank}", Banned(rank))),
        ("a = 1.5, special tokens of the base", Linear(UsualAlpha) with { SpecialTokens = "base" }),
        ("rank, k = 20, special tokens of the base", Banned(Ranks[^1]) with { SpecialTokens = "base" }),
    ];

    private readonly Examinee examinee;
    private readonly Example[][] forgotten;
    private readonly Example[][] kept;
    private readonly string[] forgottenProse;
    private readonly string[] keptProse;

    private ForgettingStudy(Examinee examinee, int questions)
    {
        this.examinee = examinee;
        (forgotten, kept) = (Questions("forget"), Questions("others"));
        Func<long, string> write = TownData.Documents("town:pretrain");
        (forgottenProse, keptProse) = (Prose(aboutPerson: true), Prose(aboutPerson: false));

        Example[][] Questions(string split) => [.. ForgettingPlan.Behaviours.Select(behaviour => TownData.Examples($"town:{behaviour}/{split}").Take(questions).ToArray())];

        string[] Prose(bool aboutPerson) =>
        [
            .. Enumerable.Range(0, int.MaxValue).Select(i => write(FirstDocument + i))
                .Where(text => text.Contains(TownWorld.At(0).Forgotten.Name, StringComparison.Ordinal) == aboutPerson).Take(Math.Min(questions, MaxScored)),
        ];
    }

    /// <param name="served">A folder with the base, its patches and the two small models; its catalog.json is written.</param>
    /// <param name="origin">Name of the base in there.</param>
    /// <param name="questions">The largest number of questions of each kind.</param>
    public static async Task<ForgettingQuality> RunAsync(string served, string origin, int questions, CancellationToken cancellation)
    {
        WriteCatalog(served, origin);
        await using Examinee examinee = new(served);
        ForgettingStudy study = new(examinee, questions);
        List<ForgettingRow> rows = [];
        foreach ((string name, AskedFusion fusion) in Settings)
        {
            cancellation.ThrowIfCancellationRequested();
            rows.Add(await study.RowAsync(name, behaviour => behaviour, ProseName, fusion));
            Console.WriteLine($"examined {name}");
        }

        foreach (string alone in new[] { ForgettingPlan.RetainName, ForgettingPlan.ForgetName })
        {
            rows.Add(await study.RowAsync($"the {alone} model alone", _ => alone, alone, null));
        }

        return new(TownWorld.At(0).Forgotten.Name, [.. rows]);
    }

    private static AskedFusion Linear(double alpha) => new() { Alpha = alpha };

    /// <summary>The tokens that the forget model raises most are banned, and nothing else changes.</summary>
    private static AskedFusion Banned(int rank) => new() { Alpha = 0, Mask = new MaskSettings { Kind = "rank", K = rank } };

    private async Task<ForgettingRow> RowAsync(string name, Func<string, string> served, string prose, AskedFusion? fusion)
    {
        return new(name, await KnowledgeAsync(forgotten, forgottenProse), await KnowledgeAsync(kept, keptProse));

        async Task<Knowledge> KnowledgeAsync(Example[][] questions, string[] documents)
        {
            (List<Score> scores, List<double> logprobs) = ([], []);
            foreach ((string behaviour, Example[] some) in ForgettingPlan.Behaviours.Zip(questions))
            {
                scores.Add(Score.Of(some, await examinee.AnswerAsync(some, served(behaviour), fusion)));
                logprobs.AddRange(await examinee.AnswerLogprobsAsync(some.Take(MaxScored), served(behaviour), fusion));
            }

            return new([.. scores], logprobs.Average(Math.Exp), await examinee.PerplexityAsync(documents, prose, fusion));
        }
    }

    private static void WriteCatalog(string folder, string origin)
    {
        JsonArray entries = [Entry(ProseName, origin, []), .. ForgettingPlan.Behaviours.Select(behaviour => Entry(behaviour, origin, [new JsonObject { ["patch"] = $"{origin}-{behaviour}" }]))];
        File.WriteAllText(Path.Combine(folder, "catalog.json"), new JsonObject { ["served_models"] = entries }.ToJsonString(Quality.Json) + "\n");
    }

    private static JsonObject Entry(string name, string origin, JsonArray patches) => new()
    {
        ["name"] = name,
        ["base"] = origin,
        ["patches"] = patches,
        ["method"] = FusionMethod.Divergence.Name,
        ["alpha_range"] = new JsonArray(Alphas[0], Alphas[^1]),
        ["experts"] = new JsonArray(new JsonObject { ["name"] = "pair", ["model"] = ForgettingPlan.RetainName, ["anti_expert"] = ForgettingPlan.ForgetName }),
    };
}
