using System.Numerics.Tensors;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Town;

/// <summary>Examines all models of the portability experiment through the server's catalog and engine.</summary>
internal sealed class PortabilityExam(PortabilityPlan plan)
{
    /// <summary>The served name of a generation's base.</summary>
    public const string Base = "base";

    /// <summary>The largest number of questions of one source.</summary>
    private const int MaxQuestions = 300;

    public static async Task<GenerationQuality[]> RunAsync(PortabilityPlan plan, CancellationToken cancellation)
    {
        PortabilityExam exam = new(plan);
        List<GenerationQuality> generations = new();
        for (int generation = 0; generation <= plan.Generations; generation++)
        {
            cancellation.ThrowIfCancellationRequested();
            generations.Add(await exam.ExamineAsync(generation));
            Console.WriteLine($"examined generation {generation}");
        }

        return [.. generations];
    }

    /// <summary>The models folder of a generation.</summary>
    public static string Served(PortabilityPlan plan, int generation) => Path.Combine(plan.In("served"), $"{generation}");

    private async Task<GenerationQuality> ExamineAsync(int generation)
    {
        Export(generation);
        await using Examinee origin = new(Served(plan, 0));
        await using Examinee examinee = new(Served(plan, generation));
        List<BehaviourPortability> behaviours = new();
        foreach (string behaviour in PortabilityPlan.Behaviours)
        {
            TaskPortability held = await ScoreAsync(examinee, behaviour, generation, "test");
            if (generation == 0)
            {
                behaviours.Add(new(behaviour, held, null, null));
                continue;
            }

            Dictionary<string, double> outdated = new();
            foreach (PatchProfile profile in PortabilityPlan.Profiles)
            {
                outdated[profile.Name] = await ScoreAsync(origin, PortabilityPlan.PatchName(behaviour, profile, 0, seed: 1), Questions(behaviour, generation, "news"));
            }

            behaviours.Add(new(behaviour, held, await ScoreAsync(examinee, behaviour, generation, "news"), outdated));
        }

        return new(generation, Drift(generation), [.. behaviours]);
    }

    private async Task<TaskPortability> ScoreAsync(Examinee examinee, string behaviour, int generation, string split)
    {
        Example[] questions = Questions(behaviour, generation, split);
        Dictionary<string, PatchScores> profiles = new();
        foreach (PatchProfile profile in PortabilityPlan.Profiles)
        {
            (List<double>? ported, List<double>? retrained) = (new List<double>(), new List<double>());
            foreach (int seed in plan.Seeds(generation))
            {
                ported.Add(await ScoreAsync(examinee, PortabilityPlan.PatchName(behaviour, profile, 0, seed), questions));
                retrained.Add(generation == 0 ? ported[^1] : await ScoreAsync(examinee, PortabilityPlan.PatchName(behaviour, profile, generation, seed), questions));
            }

            profiles[profile.Name] = new([.. ported], [.. retrained]);
        }

        return new(questions.Length, await ScoreAsync(examinee, Base, questions), await ScoreAsync(examinee, PortabilityPlan.DirectName(behaviour, generation), questions), profiles);
    }

    private static async Task<double> ScoreAsync(Examinee examinee, string served, Example[] questions) =>
        Score.Of(questions, await examinee.AnswerAsync(questions, served)).Share;

    private static Example[] Questions(string behaviour, int generation, string split) =>
        [.. Sources.Examples(PortabilityPlan.Source(behaviour, split, generation)).Take(MaxQuestions)];

    /// <summary>Exports all models of a generation. The patches are served as rows of the base. An export takes seconds, so it is repeated in every run.</summary>
    private void Export(int generation)
    {
        string folder = Served(plan, generation);
        Recipes.Export.Run(plan.Base(generation), null, Path.Combine(folder, Base));
        JsonArray entries = new() { new JsonObject { ["name"] = Base, ["base"] = Base } };
        foreach (string behaviour in PortabilityPlan.Behaviours)
        {
            string direct = PortabilityPlan.DirectName(behaviour, generation);
            Recipes.Export.Run(plan.In(direct), null, Path.Combine(folder, direct));
            foreach (string? name in from profile in PortabilityPlan.Profiles
                                     from seed in plan.Seeds(generation)
                                     from trained in new[] { 0, generation }.Distinct()
                                     select PortabilityPlan.PatchName(behaviour, profile, trained, seed))
            {
                AdapterFolder.Publish(plan.In(name), Path.Combine(folder, "patches", name), Base);
                entries.Add(new JsonObject { ["name"] = name, ["base"] = Base, ["patches"] = new JsonArray(new JsonObject { ["patch"] = name }) });
            }
        }

        File.WriteAllText(Path.Combine(folder, FileNames.Catalog), new JsonObject { ["served_models"] = entries }.ToJsonString(Quality.Json) + "\n");
    }

    private BaseDrift Drift(int generation)
    {
        using SafetensorsFile before = SafetensorsFile.Open(ModelFolder.Weights(plan.Base(0)));
        using SafetensorsFile after = SafetensorsFile.Open(ModelFolder.Weights(plan.Base(generation)));
        return new(Moved("self_attn"), Moved("mlp"), Moved("embed_tokens"));

        double Moved(string part)
        {
            (double change, double norm) = (0.0, 0.0);
            foreach (string? name in before.Tensors.Keys.Where(name => name.Contains(part, StringComparison.Ordinal)))
            {
                (float[]? old, float[]? now) = (before.ReadFloat32(name), after.ReadFloat32(name));
                change += Math.Pow(TensorPrimitives.Distance(old, now), 2);
                norm += TensorPrimitives.SumOfSquares<float>(old);
            }

            return Math.Sqrt(change / norm);
        }
    }
}
